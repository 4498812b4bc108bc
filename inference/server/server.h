// Server: an engine behind HTTP/1.1: GET /health, GET /v1/models, POST /v1/completions and POST /v1/chat/completions,
// plain or as server-sent events.
//
// Connections are coroutines over a few threads; the engine's one thread does the work. A client that goes away cancels
// what it asked for. No TLS and no authentication: for a loopback address, or behind a proxy that has both.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/status.h"
#include "data/chat_template.h"
#include "inference/engine.h"

namespace weft {

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;  // 0: any free one
  std::string model_name;
  SamplingOptions sampling;  // where a request does not say; its seed is by chance
  int num_threads = 2;
  size_t max_body_bytes = 2 << 20;
};

class Server {
 public:
  // Binds and listens, so that an address in use is an error here (InvalidArgument). What is wrong with `chat_template` is
  // told to whoever asks for a chat.
  static StatusOr<std::unique_ptr<Server>> Listen(const ServerOptions& options, std::unique_ptr<Engine> engine,
                                                  StatusOr<ChatTemplate> chat_template);
  ~Server();

  uint16_t port() const;
  // Answers until Stop.
  void Run();
  // Ends Run soon: no new connections, what is under way is cancelled and told so. From any thread.
  void Stop();
  // SIGINT and SIGTERM stop from now on.
  void StopOnSignals();

  struct Impl;  // for server.cc

 private:
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
