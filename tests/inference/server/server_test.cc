// The server over real loopback sockets: answers, streams, refusals, many clients, clients that leave, stopping.
#include "inference/server/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <thread>

#include "inference/load.h"
#include "nlohmann/json.hpp"
#include "tests/data/scratch_folder.h"
#include "tests/inference/model_folder.h"

namespace weft {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct Answer {
  int status = 0;
  std::string head;  // status line and header, lower case
  std::string body;  // without chunks' framing
};

// One connection of a plain client. A read that takes more than 20 s fails.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience = {.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;

  bool connected() const { return connected_; }

  void Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // what the server says next is what the test looks at
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  void Get(const std::string& path) { Send("GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n"); }
  void Post(const std::string& body, const std::string& type = "application/json",
            const std::string& path = "/v1/completions") {
    Send("POST " + path + " HTTP/1.1\r\nHost: test\r\nContent-Type: " + type + "\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  // Up to and with `end`, or up to the connection's end.
  std::string ReadUntil(std::string_view end) {
    size_t found;
    while ((found = received_.find(end)) == std::string::npos && Receive()) {
    }
    return Take(found == std::string::npos ? received_.size() : found + end.size());
  }
  std::string ReadAll() {
    while (Receive()) {
    }
    return Take(received_.size());
  }

  Answer Read() {
    Answer answer;
    answer.head = ReadUntil("\r\n\r\n");
    for (char& c : answer.head) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (answer.head.size() < 12) return answer;
    answer.status = std::stoi(answer.head.substr(9, 3));
    const size_t length = answer.head.find("content-length: ");
    if (length != std::string::npos) {
      answer.body = ReadBytes(std::stoul(answer.head.substr(length + 16)));
    } else if (answer.head.find("transfer-encoding: chunked") != std::string::npos) {
      answer.body = ReadChunks();
    } else {
      answer.body = ReadAll();
    }
    return answer;
  }

 private:
  bool Receive() {
    char buffer[4096];
    const ssize_t n = ::recv(socket_, buffer, sizeof(buffer), 0);
    if (n > 0) received_.append(buffer, static_cast<size_t>(n));
    return n > 0;
  }
  std::string Take(size_t n) {
    std::string front = received_.substr(0, n);
    received_.erase(0, n);
    return front;
  }
  std::string ReadBytes(size_t n) {
    while (received_.size() < n && Receive()) {
    }
    return Take(n);
  }
  std::string ReadChunks() {
    std::string body;
    for (;;) {
      const std::string size = ReadUntil("\r\n");
      const size_t n = size.empty() ? 0 : std::stoul(size, nullptr, 16);
      body += ReadBytes(n);
      ReadUntil("\r\n");
      if (n == 0) return body;
    }
  }

  int socket_;
  bool connected_;
  std::string received_;
};

// The objects of a stream's events; the last event must be [DONE].
std::vector<json> EventsOf(const std::string& body) {
  std::vector<json> events;
  size_t begin = 0;
  bool done = false;
  for (size_t end; (end = body.find("\n\n", begin)) != std::string::npos; begin = end + 2) {
    EXPECT_FALSE(done) << "nothing comes after [DONE]";
    EXPECT_EQ(body.substr(begin, 6), "data: ");
    const std::string data = body.substr(begin + 6, end - begin - 6);
    done = data == "[DONE]";
    if (!done) events.push_back(json::parse(data));
  }
  EXPECT_EQ(begin, body.size());
  EXPECT_TRUE(done) << body;
  return events;
}

constexpr char kTemplate[] =
    "{% for m in messages %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}";
constexpr int64_t kContext = 60000;  // long enough for an answer that outlasts a test

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    ModelConfig config = ServableConfig();
    config.max_position_embeddings = kContext;
    WriteModelFolder(scratch_.Path(), config);
    StatusOr<std::unique_ptr<Engine>> engine = LoadEngine(scratch_.Path(), {.num_slots = 2, .capacity = kContext});
    ASSERT_TRUE(engine.ok()) << engine.status();
    StatusOr<std::unique_ptr<Server>> server =
        Server::Listen({.port = 0, .model_name = "tiny", .max_body_bytes = 100000}, *std::move(engine),
                       ChatTemplate::Parse(kTemplate, "t", R"({"eos_token": "<|endoftext|>"})"));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    runner_ = std::thread([this] { server_->Run(); });
  }
  void TearDown() override { StopAndJoin(); }

  void StopAndJoin() {
    if (server_ == nullptr) return;
    server_->Stop();
    runner_.join();
    server_.reset();
  }

  Answer Complete(const json& body, const std::string& path = "/v1/completions") {
    Client client(server_->port());
    client.Post(body.dump(), "application/json", path);
    return client.Read();
  }
  Answer Chat(const json& body) { return Complete(body, "/v1/chat/completions"); }
  // What takes far longer than any test waits.
  json Endless(const std::string& prompt) const {
    return {{"prompt", prompt}, {"max_tokens", 50000}, {"ignore_eos", true}, {"temperature", 0}};
  }

  ScratchFolder scratch_;
  std::unique_ptr<Server> server_;
  std::thread runner_;
};

const json kAsk = {
    {"model", "tiny"}, {"prompt", "hello"}, {"max_tokens", 12}, {"temperature", 0}, {"ignore_eos", true}};

TEST_F(ServerTest, IsHealthyAndListsItsModel) {
  Client client(server_->port());
  for (int i = 0; i < 2; ++i) {  // over one connection
    client.Get("/health");
    const Answer health = client.Read();
    EXPECT_EQ(health.status, 200);
    EXPECT_EQ(json::parse(health.body).at("status"), "ok");
    client.Get("/v1/models?x=y");
    const Answer models = client.Read();
    EXPECT_EQ(models.status, 200);
    EXPECT_THAT(models.head, HasSubstr("content-type: application/json"));
    EXPECT_EQ(json::parse(models.body).at("data")[0].at("id"), "tiny");
    EXPECT_EQ(json::parse(models.body).at("data")[0].at("max_model_len"), kContext);
  }
}

TEST_F(ServerTest, CompletesPlainAndStreamedAlike) {
  const Answer plain = Complete(kAsk);
  ASSERT_EQ(plain.status, 200) << plain.body;
  const json whole = json::parse(plain.body);
  EXPECT_EQ(whole.at("choices")[0].at("finish_reason"), "length");
  EXPECT_EQ(whole.at("usage").at("completion_tokens"), 12);
  const json prompt_tokens = Tokenizer::ByteLevel()->Encode("hello").size();
  EXPECT_EQ(whole.at("usage").at("prompt_tokens"), prompt_tokens);

  json ask = kAsk;
  ask["stream"] = true;
  ask["stream_options"] = {{"include_usage", true}};
  const Answer streamed = Complete(ask);
  ASSERT_EQ(streamed.status, 200);
  EXPECT_THAT(streamed.head, HasSubstr("content-type: text/event-stream"));
  std::vector<json> events = EventsOf(streamed.body);
  EXPECT_EQ(events.back().at("usage"), whole.at("usage"));
  events.pop_back();
  std::string text;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].at("id"), events[0].at("id"));
    EXPECT_EQ(events[i].at("choices")[0].at("finish_reason"), i + 1 == events.size() ? json("length") : json());
    text += events[i].at("choices")[0].at("text").get<std::string>();
  }
  EXPECT_EQ(text, whole.at("choices")[0].at("text"));
}

const json kTalk = {{"model", "tiny"}, {"max_tokens", 12}, {"temperature", 0}, {"ignore_eos", true},
                    {"messages", {{{"role", "user"}, {"content", "hello<|endoftext|>"}}}}};

TEST_F(ServerTest, ChatsAsItCompletesTheRenderedPrompt) {
  const Answer chat = Chat(kTalk);
  ASSERT_EQ(chat.status, 200) << chat.body;
  const json whole = json::parse(chat.body);
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::ByteLevel();
  std::vector<int32_t> prompt = tokenizer->Encode("user: hello<|endoftext|>", {.add_special_tokens = false});
  prompt.push_back(*tokenizer->eos_id());
  for (const int32_t id : tokenizer->Encode("assistant: ", {.add_special_tokens = false})) prompt.push_back(id);
  json ask = kAsk;
  ask["prompt"] = prompt;
  const json completion = json::parse(Complete(ask).body);
  EXPECT_EQ(whole.at("choices")[0].at("message").at("content"), completion.at("choices")[0].at("text"));
  EXPECT_EQ(whole.at("usage"), completion.at("usage"));

  json talk = kTalk;
  talk["stream"] = true;
  talk["stream_options"] = {{"include_usage", true}};
  std::vector<json> events = EventsOf(Chat(talk).body);
  EXPECT_EQ(events.back().at("usage"), whole.at("usage"));
  events.pop_back();
  EXPECT_EQ(events[0].at("choices")[0].at("delta"), json({{"role", "assistant"}, {"content", ""}}));
  std::string text;
  for (size_t i = 1; i + 1 < events.size(); ++i) {
    EXPECT_EQ(events[i].at("choices")[0].at("finish_reason"), json());
    text += events[i].at("choices")[0].at("delta").at("content").get<std::string>();
  }
  EXPECT_EQ(text, whole.at("choices")[0].at("message").at("content"));
  EXPECT_EQ(events.back().at("choices")[0].at("delta"), json::object());
  EXPECT_EQ(events.back().at("choices")[0].at("finish_reason"), "length");
}

TEST_F(ServerTest, StreamsToHttp10UntilTheConnectionEnds) {
  json ask = kAsk;
  ask["stream"] = true;
  const std::string body = ask.dump();
  Client client(server_->port());
  client.Send("POST /v1/completions HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const Answer answer = client.Read();
  EXPECT_EQ(answer.head.find("chunked"), std::string::npos);
  EXPECT_FALSE(EventsOf(answer.body).empty());
}

TEST_F(ServerTest, RefusesWithOpenAIsErrors) {
  const auto error = [&](const std::string& body, int status) {
    Client client(server_->port());
    client.Post(body);
    const Answer answer = client.Read();
    EXPECT_EQ(answer.status, status) << answer.body;
    const json object = json::parse(answer.body).at("error");
    EXPECT_EQ(object.at("code"), status);
    return object.at("message").get<std::string>();
  };
  EXPECT_THAT(error("{\"prompt\": ", 400), HasSubstr("not JSON"));
  EXPECT_THAT(error(std::string(90000, '['), 400), HasSubstr("nested"));
  EXPECT_THAT(error(R"({"prompt": "a", "model": "other"})", 404), HasSubstr("other"));
  EXPECT_THAT(error(R"({"prompt": "a", "best_of": 2})", 400), HasSubstr("best_of"));
  EXPECT_THAT(error(R"({"prompt": "a", "temperature": -1})", 400), HasSubstr("temperature"));
  EXPECT_THAT(error(R"({"prompt": "a", "max_tokens": 60000, "stream": true})", 400), HasSubstr("context"));
  EXPECT_THAT(error(R"({"prompt": [272]})", 400), HasSubstr("vocabulary"));
  const Answer chat = Chat({{"messages", "hello"}});
  EXPECT_EQ(chat.status, 400);
  EXPECT_EQ(json::parse(chat.body).at("error").at("param"), "messages");
  EXPECT_EQ(Complete(kAsk).status, 200) << "and goes on";
}

TEST_F(ServerTest, KnowsItsPathsMethodsAndTypes) {
  Client client(server_->port());
  client.Get("/v1/nothing");
  EXPECT_EQ(client.Read().status, 404);
  client.Get("/v1/completions");
  const Answer wrong_method = client.Read();
  EXPECT_EQ(wrong_method.status, 405);
  EXPECT_THAT(wrong_method.head, HasSubstr("allow: post"));
  client.Post("a=b", "application/x-www-form-urlencoded");
  EXPECT_EQ(client.Read().status, 415);
  client.Get("/health");
  EXPECT_EQ(client.Read().status, 200) << "the connection goes on";
}

TEST_F(ServerTest, RefusesWhatIsTooLargeOrNotHttp) {
  Client large(server_->port());
  large.Post(std::string(3000000, ' '));
  const Answer too_large = large.Read();
  EXPECT_EQ(too_large.status, 413);
  EXPECT_THAT(too_large.body, HasSubstr("100000"));
  Client chunked(server_->port());
  chunked.Send("POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n" +
               std::string(200000, ' ') + "\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.Read().status, 413);
  Client long_header(server_->port());
  long_header.Send("GET /health HTTP/1.1\r\nX: " + std::string(100000, 'x') + "\r\n\r\n");
  EXPECT_EQ(long_header.Read().status, 431);
  Client noise(server_->port());
  noise.Send("\x16\x03\x01 this is not http\r\n\r\n");
  EXPECT_EQ(noise.Read().status, 400);
  Client half(server_->port());
  half.Send("POST /v1/completions HTTP/1.1\r\nContent-Le");
  EXPECT_EQ(Complete(kAsk).status, 200) << "and goes on, while one client says nothing";
}

TEST_F(ServerTest, AnswersSixteenClientsAtOnce) {
  const std::string expected = json::parse(Complete(kAsk).body).at("choices")[0].at("text");
  std::vector<std::thread> clients;
  std::vector<std::string> texts(16);
  for (size_t i = 0; i < texts.size(); ++i) {
    clients.emplace_back([this, i, &texts] {
      json ask = kAsk;
      ask["stream"] = i % 2 == 0;
      const Answer answer = Complete(ask);
      if (answer.status != 200) return;
      for (const json& event : i % 2 == 0 ? EventsOf(answer.body) : std::vector<json>{json::parse(answer.body)}) {
        texts[i] += event.at("choices")[0].at("text").get<std::string>();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_THAT(texts, testing::Each(expected));
}

// Two slots, taken by requests that would run for minutes: only when their clients leave can another be answered.
TEST_F(ServerTest, FreesTheSlotsOfClientsThatLeave) {
  for (const bool streams : {true, false}) {
    {
      Client one(server_->port()), other(server_->port());
      json ask = Endless("x");
      ask["stream"] = true;
      one.Post(ask.dump());
      EXPECT_THAT(one.ReadUntil("\n\n"), HasSubstr("200 OK"));
      ask["stream"] = streams;
      other.Post(ask.dump());
      if (streams) other.ReadUntil("data: ");
    }
    const auto left = std::chrono::steady_clock::now();
    EXPECT_EQ(Complete(kAsk).status, 200);
    EXPECT_LT(std::chrono::steady_clock::now() - left, std::chrono::seconds(5));
  }
}

TEST_F(ServerTest, TellsItsClientsWhenItStops) {
  Client streaming(server_->port()), waiting(server_->port()), idle(server_->port());
  json ask = Endless("x");
  waiting.Post(ask.dump());
  ask["stream"] = true;
  streaming.Post(ask.dump());
  streaming.ReadUntil("data: ");
  const uint16_t port = server_->port();
  const auto begun = std::chrono::steady_clock::now();
  StopAndJoin();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  EXPECT_EQ(waiting.Read().status, 503);
  EXPECT_THAT(streaming.ReadAll(), HasSubstr("the server is stopping"));
  EXPECT_EQ(idle.ReadAll(), "");
  EXPECT_FALSE(Client(port).connected());
}

TEST_F(ServerTest, SaysThatItsPortIsTaken) {
  StatusOr<std::unique_ptr<Engine>> engine = LoadEngine(scratch_.Path(), {.capacity = 64});
  const StatusOr<std::unique_ptr<Server>> second = Server::Listen({.port = server_->port()}, *std::move(engine), UserError("none"));
  EXPECT_EQ(ExitCode(second.status()), 2);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("cannot listen on 127.0.0.1 port"));
}

}  // namespace
}  // namespace weft
