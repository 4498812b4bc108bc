// HTTP by Boost.Beast, connections as coroutines (see server.h).
//
// A connection's handlers run on its own strand. The engine's thread meets it only in Mailbox.
#include "inference/server/server.h"

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <csignal>
#include <ctime>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "inference/server/completion_answer.h"
#include "inference/server/completion_api.h"

namespace weft {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = net::ip::tcp;
using ErrorCode = boost::system::error_code;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr auto kIdleTime = std::chrono::seconds(60);     // a client may say nothing, or read nothing, for so long
constexpr auto kStoppingTime = std::chrono::seconds(5);  // for clients to read that their requests were cancelled
constexpr auto kClosingTime = std::chrono::seconds(2);   // for a client to stop sending what was refused
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

const Status kStopping = absl::UnavailableError("the server is stopping");

// co_await operation(..., To(error)): errors come as values, not as exceptions.
auto To(ErrorCode& error) { return net::redirect_error(net::use_awaitable, error); }

// What the engine delivers to one call, until the client goes away.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  explicit Mailbox(const net::any_io_executor& strand) : bell_(strand, net::steady_timer::time_point::max()) {}

  // From the engine's thread. False when nobody listens any more.
  bool Put(const Delivery& delivery) {
    if (client_is_gone_) return false;
    if (delivery.text.empty() && delivery.finished == FinishReason::kNone) return true;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      deliveries_.push_back(delivery);
    }
    net::post(bell_.get_executor(), [self = shared_from_this()] { self->bell_.cancel(); });
    return true;
  }

  // On the connection's strand, like all that follows. Nothing when the client is gone.
  net::awaitable<std::optional<Delivery>> Take() {
    for (;;) {
      if (client_is_gone_) co_return std::nullopt;
      if (std::optional<Delivery> delivery = TakeNow()) co_return delivery;
      ErrorCode rung;
      co_await bell_.async_wait(To(rung));
    }
  }

  void ClientIsGone() {
    client_is_gone_ = true;
    bell_.cancel();
  }

 private:
  std::optional<Delivery> TakeNow() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (deliveries_.empty()) return std::nullopt;
    std::optional<Delivery> first = std::move(deliveries_.front());
    deliveries_.pop_front();
    return first;
  }

  std::mutex mutex_;
  std::deque<Delivery> deliveries_;
  std::atomic<bool> client_is_gone_{false};
  net::steady_timer bell_;  // never runs out: cancelling it wakes whoever waits
};

// True when the other side has closed the connection.
bool IsClosed(tcp::socket& socket) {
  char byte;
  ErrorCode error;
  socket.receive(net::buffer(&byte, 1), net::socket_base::message_peek, error);
  return error && error != net::error::would_block && error != net::error::try_again;
}

Response MakeResponse(const Request& request, int status, std::string body) {
  Response response(static_cast<http::status>(status), request.version());
  response.set(http::field::content_type, "application/json");
  response.keep_alive(request.keep_alive());
  if (status == 429 || status == 503) response.set(http::field::retry_after, "1");
  response.body() = std::move(body);
  response.prepare_payload();
  return response;
}

Response MakeError(const Request& request, int http_status, const Status& status) {
  return MakeResponse(request, http_status, ErrorBody(http_status, status));
}

std::string_view PathOf(const Request& request) {
  const std::string_view target(request.target().data(), request.target().size());
  return target.substr(0, target.find('?'));
}

}  // namespace

struct Server::Impl {
  Impl(const ServerOptions& options, std::unique_ptr<Engine> engine, StatusOr<ChatTemplate> chat_template)
      : options(options), chat_template(std::move(chat_template)), io(options.num_threads),
        acceptor(net::make_strand(io)), signals(acceptor.get_executor()), deadline(acceptor.get_executor()),
        engine(std::move(engine)) {}

  Status Listen();
  net::awaitable<void> AcceptAll();
  void Stop();
  void CallEnded();

  const ServerOptions options;
  const StatusOr<ChatTemplate> chat_template;
  const int64_t started = std::time(nullptr);
  uint16_t port = 0;  // that it listens on
  net::io_context io;
  tcp::acceptor acceptor;  // it, the signals and the deadline share a strand
  net::signal_set signals;
  net::steady_timer deadline;
  std::atomic<bool> stopping{false};
  std::atomic<int> num_calls{0};   // being answered
  std::unique_ptr<Engine> engine;  // goes first: its requests hold mailboxes, which need `io`
};

namespace {

// One client, until it goes away or the server stops. Lives as long as its coroutine.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Server::Impl& server) : server_(server), stream_(std::move(socket)) {}

  net::awaitable<void> Serve();

 private:
  net::awaitable<bool> Answer(const Request& request);
  net::awaitable<bool> RefuseUnreadable(ErrorCode error);
  net::awaitable<bool> Complete(const Request& request, CallKind kind);
  StatusOr<CompletionCall> Parse(const Request& request, CallKind kind) const;
  net::awaitable<bool> AnswerWhole(const Request& request, const CompletionAnswer& answer, Mailbox& mailbox);
  net::awaitable<bool> AnswerAsStream(const Request& request, const CompletionAnswer& answer, bool include_usage,
                                      Mailbox& mailbox);
  net::awaitable<bool> Send(Response response);
  net::awaitable<bool> SendEvent(std::string data, bool chunked);
  net::awaitable<void> Close();
  void WatchClient(std::shared_ptr<Mailbox> mailbox);

  Server::Impl& server_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
};

net::awaitable<void> Connection::Serve() {
  ErrorCode error;
  stream_.socket().set_option(tcp::no_delay(true), error);
  stream_.socket().non_blocking(true, error);
  bool goes_on = true;
  while (goes_on && !server_.stopping) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(server_.options.max_body_bytes);
    stream_.expires_after(kIdleTime);
    co_await http::async_read(stream_, buffer_, parser, To(error));
    if (error) {
      goes_on = co_await RefuseUnreadable(error);
    } else {
      const Request request = parser.release();
      goes_on = co_await Answer(request);
    }
  }
  co_await Close();
}

// Reads on until the client closes too: closing first on data not yet read would reset the connection, and the client
// might lose the answer.
net::awaitable<void> Connection::Close() {
  ErrorCode error;
  stream_.socket().shutdown(tcp::socket::shutdown_send, error);
  stream_.expires_after(kClosingTime);
  std::vector<char> unwanted(16 << 10);
  while (!error && !server_.stopping) co_await stream_.async_read_some(net::buffer(unwanted), To(error));
}

// Tells the mailbox when the client closes its side; until the socket's operations are cancelled.
void Connection::WatchClient(std::shared_ptr<Mailbox> mailbox) {
  stream_.socket().async_wait(tcp::socket::wait_read, [self = shared_from_this(), mailbox](ErrorCode error) {
    if (error == net::error::operation_aborted) return;
    if (error || IsClosed(self->stream_.socket())) mailbox->ClientIsGone();  // else it sent its next request early
  });
}

// What Beast could not read. The connection always ends: where the next request would begin is unknown.
net::awaitable<bool> Connection::RefuseUnreadable(ErrorCode error) {
  Request request;
  request.keep_alive(false);
  if (error == http::error::body_limit) {
    const Status status = UserError("the request's body exceeds ", server_.options.max_body_bytes, " bytes");
    co_await Send(MakeError(request, 413, status));
  } else if (error == http::error::header_limit) {
    co_await Send(MakeError(request, 431, UserError("the request's header is too long")));
  } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    co_await Send(MakeError(request, 400, UserError("not an HTTP request: ", error.message())));
  }
  co_return false;
}

net::awaitable<bool> Connection::Answer(const Request& request) {
  const std::string_view path = PathOf(request);
  const bool chats = path == "/v1/chat/completions", completes = chats || path == "/v1/completions";
  if (!completes && path != "/health" && path != "/v1/models") {
    co_return co_await Send(MakeError(request, 404, absl::NotFoundError(StrCat("there is no ", path.substr(0, 200)))));
  }
  const char* const method = completes ? "POST" : "GET";
  if (request.method_string() != method) {
    Response refusal = MakeError(request, 405, UserError(path, " answers only ", method));
    refusal.set(http::field::allow, method);
    co_return co_await Send(std::move(refusal));
  }
  if (path == "/health") co_return co_await Send(MakeResponse(request, 200, HealthBody()));
  if (path == "/v1/models") {
    const ServerOptions& options = server_.options;
    const std::string models = ModelsBody(options.model_name, server_.started, server_.engine->capacity());
    co_return co_await Send(MakeResponse(request, 200, models));
  }
  ++server_.num_calls;
  const bool goes_on = co_await Complete(request, chats ? CallKind::kChat : CallKind::kText);
  server_.CallEnded();
  co_return goes_on;
}

StatusOr<CompletionCall> Connection::Parse(const Request& request, CallKind kind) const {
  const std::string& name = server_.options.model_name;
  const SamplingOptions& defaults = server_.options.sampling;
  const Engine& engine = *server_.engine;
  if (kind == CallKind::kText) return ParseCompletionCall(request.body(), name, engine.tokenizer(), defaults);
  return ParseChatCall(request.body(), name, engine.tokenizer(), server_.chat_template, engine.capacity(), defaults);
}

net::awaitable<bool> Connection::Complete(const Request& request, CallKind kind) {
  const auto type = request[http::field::content_type];
  if (!type.empty() && !type.starts_with("application/json")) {
    co_return co_await Send(MakeError(request, 415, UserError("Content-Type: expected application/json")));
  }
  StatusOr<CompletionCall> call = Parse(request, kind);
  if (!call.ok()) co_return co_await Send(MakeError(request, HttpStatusOf(call.status()), call.status()));

  const CompletionAnswer answer(kind, server_.options.model_name, static_cast<int64_t>(call->generation.prompt.size()),
                                call->include_usage);
  const auto mailbox = std::make_shared<Mailbox>(stream_.get_executor());
  call->generation.deliver = [mailbox](const Delivery& delivery) { return mailbox->Put(delivery); };
  const Status submitted = server_.engine->Submit(std::move(call->generation));
  if (!submitted.ok()) co_return co_await Send(MakeError(request, HttpStatusOf(submitted), submitted));

  WatchClient(mailbox);
  bool goes_on = false;
  if (call->stream) {
    goes_on = co_await AnswerAsStream(request, answer, call->include_usage, *mailbox);
  } else {
    goes_on = co_await AnswerWhole(request, answer, *mailbox);
  }
  ErrorCode ignored;
  stream_.socket().cancel(ignored);
  mailbox->ClientIsGone();  // whoever did not wait for the end wants no more
  co_return goes_on;
}

net::awaitable<bool> Connection::AnswerWhole(const Request& request, const CompletionAnswer& answer, Mailbox& mailbox) {
  std::string text;
  for (;;) {
    const std::optional<Delivery> delivery = co_await mailbox.Take();
    if (!delivery.has_value()) co_return false;
    text += delivery->text;
    if (delivery->finished == FinishReason::kNone) continue;
    if (delivery->finished == FinishReason::kCancelled) {
      co_return co_await Send(MakeError(request, 503, kStopping));
    }
    co_return co_await Send(MakeResponse(request, 200, answer.Body(text, *delivery)));
  }
}

net::awaitable<bool> Connection::AnswerAsStream(const Request& request, const CompletionAnswer& answer,
                                                bool include_usage, Mailbox& mailbox) {
  const bool chunked = request.version() >= 11;  // HTTP/1.0 reads to the end of the connection
  http::response<http::empty_body> head(http::status::ok, request.version());
  head.set(http::field::content_type, "text/event-stream; charset=utf-8");
  head.set(http::field::cache_control, "no-cache");
  head.keep_alive(chunked && request.keep_alive());
  if (chunked) head.chunked(true);
  http::response_serializer<http::empty_body> serializer(head);
  ErrorCode error;
  stream_.expires_after(kIdleTime);
  co_await http::async_write_header(stream_, serializer, To(error));
  if (error) co_return false;

  if (const std::optional<std::string> opening = answer.OpeningChunk()) co_await SendEvent(*opening, chunked);
  std::optional<Delivery> delivery;
  do {
    delivery = co_await mailbox.Take();
    if (!delivery.has_value()) co_return false;
    const bool cancelled = delivery->finished == FinishReason::kCancelled;
    const std::vector<std::string> chunks =
        cancelled ? std::vector<std::string>{ErrorBody(503, kStopping)} : answer.Chunks(*delivery);
    for (const std::string& chunk : chunks) {
      const bool sent = co_await SendEvent(chunk, chunked);
      if (!sent) co_return false;
    }
  } while (delivery->finished == FinishReason::kNone);
  if (include_usage) co_await SendEvent(answer.UsageChunk(*delivery), chunked);
  const bool sent = co_await SendEvent("[DONE]", chunked);
  if (!sent) co_return false;
  if (chunked) co_await net::async_write(stream_, http::make_chunk_last(), To(error));
  co_return !error && head.keep_alive();
}

net::awaitable<bool> Connection::Send(Response response) {
  ErrorCode error;
  stream_.expires_after(kIdleTime);
  co_await http::async_write(stream_, response, To(error));
  co_return !error && response.keep_alive();
}

net::awaitable<bool> Connection::SendEvent(std::string data, bool chunked) {
  const std::string frame = "data: " + std::move(data) + "\n\n";
  ErrorCode error;
  stream_.expires_after(kIdleTime);
  if (chunked) {
    co_await net::async_write(stream_, http::make_chunk(net::buffer(frame)), To(error));
  } else {
    co_await net::async_write(stream_, net::buffer(frame), To(error));
  }
  co_return !error;
}

}  // namespace

Status Server::Impl::Listen() {
  ErrorCode error;
  tcp::resolver resolver(io);
  const auto addresses = resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  if (!error) {
    const tcp::endpoint address = addresses.begin()->endpoint();
    acceptor.open(address.protocol(), error);
    if (!error) acceptor.set_option(net::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(address, error);
    if (!error) acceptor.listen(net::socket_base::max_listen_connections, error);
    if (!error) port = acceptor.local_endpoint(error).port();
  }
  if (error) return UserError("cannot listen on ", options.host, " port ", options.port, ": ", error.message());
  return absl::OkStatus();
}

net::awaitable<void> Server::Impl::AcceptAll() {
  while (!stopping) {
    ErrorCode error;
    tcp::socket socket(net::make_strand(io));
    co_await acceptor.async_accept(socket, To(error));
    if (error && !stopping) {  // out of file descriptors, say: those in use will come back
      net::steady_timer pause(acceptor.get_executor(), kAcceptPause);
      co_await pause.async_wait(To(error));
      continue;
    }
    if (error) co_return;
    const net::any_io_executor strand = socket.get_executor();
    const auto connection = std::make_shared<Connection>(std::move(socket), *this);
    net::co_spawn(strand, [connection] { return connection->Serve(); }, net::detached);
  }
}

void Server::Impl::Stop() {
  if (stopping.exchange(true)) return;
  net::post(acceptor.get_executor(), [this] {
    ErrorCode ignored;
    acceptor.close(ignored);
    deadline.expires_after(kStoppingTime);
    deadline.async_wait([this](ErrorCode) { io.stop(); });
    engine->Stop();
    if (num_calls == 0) io.stop();
  });
}

void Server::Impl::CallEnded() {
  if (--num_calls == 0 && stopping) io.stop();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

StatusOr<std::unique_ptr<Server>> Server::Listen(const ServerOptions& options, std::unique_ptr<Engine> engine,
                                                 StatusOr<ChatTemplate> chat_template) {
  auto impl = std::make_unique<Impl>(options, std::move(engine), std::move(chat_template));
  WEFT_RETURN_IF_ERROR(impl->Listen());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

uint16_t Server::port() const { return impl_->port; }

void Server::Run() {
  net::co_spawn(impl_->acceptor.get_executor(), [this] { return impl_->AcceptAll(); }, net::detached);
  std::vector<std::thread> others;
  for (int i = 1; i < impl_->options.num_threads; ++i) others.emplace_back([this] { impl_->io.run(); });
  impl_->io.run();
  for (std::thread& thread : others) thread.join();
}

void Server::Stop() { impl_->Stop(); }

void Server::StopOnSignals() {
  impl_->signals.add(SIGINT);
  impl_->signals.add(SIGTERM);
  impl_->signals.async_wait([this](ErrorCode error, int) {
    if (!error) Stop();
  });
}

}  // namespace weft
