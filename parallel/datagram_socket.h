// Datagrams between the processes of a job, beside MPI and NCCL: what still works when those wait for somebody.
//
// UDP over IPv4: a message comes whole or not at all, nobody keeps connections, and a process that is stopped costs
// its peers nothing. The receiver must bear losses. (RFC 768.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/status.h"

namespace weft {

class DatagramSocket {
 public:
  // Where a peer listens, as this process reaches it.
  struct Endpoint {
    uint32_t address = 0;  // IPv4, network byte order
    uint16_t port = 0;     // network byte order
  };
  static constexpr size_t kMaxBytes = 60000;

  // Listens on all interfaces, at a port that the system chooses.
  static StatusOr<DatagramSocket> Open();
  DatagramSocket(DatagramSocket&& other) noexcept : descriptor_(other.descriptor_), port_(other.port_) {
    other.descriptor_ = -1;
  }
  DatagramSocket& operator=(DatagramSocket&&) = delete;
  ~DatagramSocket();

  // What a peer needs to know to reach this socket, as text.
  std::string Advertise() const;
  // The endpoint behind a peer's Advertise(): the loopback where both share a network stack, else its address on a
  // network of this host, else its first.
  static StatusOr<Endpoint> Resolve(const std::string& advertised);

  // Lost without a word where the system cannot take it. From any thread.
  void Send(const Endpoint& to, std::string_view bytes) const;
  // The next message, waited for at most `timeout_s`.
  std::optional<std::string> Receive(double timeout_s) const;
  // True where `at`'s host says that no process listens there. False says nothing.
  static bool IsClosed(const Endpoint& at);

 private:
  DatagramSocket(int descriptor, uint16_t port) : descriptor_(descriptor), port_(port) {}
  int descriptor_;
  uint16_t port_;  // network byte order
};

// This host's name.
std::string HostName();

}  // namespace weft
