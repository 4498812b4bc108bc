// UDP sockets (see datagram_socket.h).
#include "parallel/datagram_socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace weft {
namespace {

struct Network {
  uint32_t address, mask;  // network byte order
};

// This host's IPv4 addresses that other hosts may reach.
std::vector<Network> Networks() {
  std::vector<Network> networks;
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return networks;
  for (const ifaddrs* it = first; it != nullptr; it = it->ifa_next) {
    const bool is_usable = it->ifa_addr != nullptr && it->ifa_addr->sa_family == AF_INET &&
                           it->ifa_netmask != nullptr && (it->ifa_flags & IFF_UP) != 0 &&
                           (it->ifa_flags & IFF_LOOPBACK) == 0;
    if (!is_usable) continue;
    networks.push_back({reinterpret_cast<const sockaddr_in*>(it->ifa_addr)->sin_addr.s_addr,
                        reinterpret_cast<const sockaddr_in*>(it->ifa_netmask)->sin_addr.s_addr});
  }
  freeifaddrs(first);
  return networks;
}

// The same text in two processes exactly where they share a loopback: one boot of one kernel, one network namespace.
std::string NetworkStack() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  std::error_code none;
  const std::string space = std::filesystem::read_symlink("/proc/thread-self/ns/net", none).string();
  return boot.empty() || space.empty() ? StrCat("process-", ::getpid()) : StrCat(boot, "/", space);
}

sockaddr_in ToSocketAddress(const DatagramSocket::Endpoint& endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = endpoint.address;
  address.sin_port = endpoint.port;
  return address;
}

Status SocketError(const char* what) {
  return absl::UnavailableError(StrCat("cannot ", what, " a UDP socket: ", std::strerror(errno)));
}

}  // namespace

std::string HostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown";
}

StatusOr<DatagramSocket> DatagramSocket::Open() {
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return SocketError("open");
  DatagramSocket opened(descriptor, 0);
  const int buffer_bytes = 4 << 20;  // many ranks answer at once; the system gives what it allows
  ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
  sockaddr_in address = ToSocketAddress({htonl(INADDR_ANY), 0});
  socklen_t length = sizeof(address);
  if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), length) != 0) return SocketError("bind");
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) return SocketError("name");
  opened.port_ = address.sin_port;
  return opened;
}

DatagramSocket::~DatagramSocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string DatagramSocket::Advertise() const {
  std::string text = StrCat(NetworkStack(), " ", port_);
  for (const Network& network : Networks()) StrAppend(&text, " ", network.address);
  return text;
}

StatusOr<DatagramSocket::Endpoint> DatagramSocket::Resolve(const std::string& advertised) {
  std::istringstream fields(advertised);
  std::string stack;
  Endpoint endpoint;
  if (!(fields >> stack >> endpoint.port)) return absl::InternalError(StrCat("'", advertised, "' is no address"));
  if (stack == NetworkStack()) {
    endpoint.address = htonl(INADDR_LOOPBACK);
    return endpoint;
  }
  const std::vector<Network> mine = Networks();
  for (uint32_t address; fields >> address;) {
    if (endpoint.address == 0) endpoint.address = address;
    for (const Network& network : mine) {
      if ((address & network.mask) != (network.address & network.mask)) continue;
      endpoint.address = address;
      return endpoint;
    }
  }
  if (endpoint.address == 0) return absl::UnavailableError("it has no IPv4 address besides the loopback");
  return endpoint;
}

void DatagramSocket::Send(const Endpoint& to, std::string_view bytes) const {
  const sockaddr_in address = ToSocketAddress(to);
  ::sendto(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address),
           sizeof(address));
}

std::optional<std::string> DatagramSocket::Receive(double timeout_s) const {
  pollfd waiting = {.fd = descriptor_, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, timeout_s <= 0 ? 0 : static_cast<int>(timeout_s * 1e3) + 1) <= 0) return std::nullopt;
  std::string bytes(kMaxBytes, '\0');
  const ssize_t received = ::recv(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (received < 0) return std::nullopt;
  bytes.resize(static_cast<size_t>(received));
  return bytes;
}

// A connected socket is told of ICMP's "port unreachable".
bool DatagramSocket::IsClosed(const Endpoint& at) {
  constexpr int kAnswerMs = 100;
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  const sockaddr_in address = ToSocketAddress(at);
  bool is_closed = false;
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    char byte = 0;
    ::send(descriptor, &byte, 1, MSG_DONTWAIT);
    pollfd waiting = {.fd = descriptor, .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, kAnswerMs);
    is_closed = ::recv(descriptor, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED;
  }
  ::close(descriptor);
  return is_closed;
}

}  // namespace weft
