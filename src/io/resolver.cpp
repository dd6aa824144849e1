#include "io/resolver.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <sstream>
#include <thread>
#include <utility>

#include "abi/status.hpp"
#include "os/service_thread.hpp"
#include "sync/dispatcher.hpp"

namespace bobbin::io {
namespace {

std::unexpected<Error> resolver_failure(int code) {
  constexpr std::uint32_t kNotEnoughMemory = 8, kInvalid = 10022, kNoSuchType = 10044, kNoSuchFamily = 10047,
                          kNoSuchService = 10109, kNotFound = 11001, kTryAgain = 11002, kNoRecovery = 11003,
                          kNoData = 11004;
  constexpr std::pair<int, std::uint32_t> kCodes[] = {
      {EAI_AGAIN, kTryAgain},        {EAI_BADFLAGS, kInvalid},       {EAI_FAIL, kNoRecovery},
      {EAI_FAMILY, kNoSuchFamily},   {EAI_MEMORY, kNotEnoughMemory}, {EAI_NODATA, kNoData},
      {EAI_SERVICE, kNoSuchService}, {EAI_SOCKTYPE, kNoSuchType}};
  const auto* const row = std::ranges::find(kCodes, code, &std::pair<int, std::uint32_t>::first);
  return fail({.kind = ErrorKind::system,
               .status = status_of_win32(row != std::end(kCodes) ? row->second : kNotFound),
               .what = gai_strerror(code)});
}

/// Answers to `ask` from a thread of ours; a caller that is stopped leaves it behind.
template <class Ask>
auto on_own_thread(Ask ask, sync::Waiter& self) -> decltype(ask()) {
  struct Shared {
    Ask ask;
    std::optional<decltype(ask())> answer;
    sync::Ref<sync::Event> done;
  };
  auto shared = std::make_shared<Shared>(std::move(ask), std::nullopt,
                                         sync::Ref<sync::Event>::adopt(new sync::Event(true, false)));
  shared->done->expect();
  std::thread thread = os::start_service_thread([shared] {
    try {
      shared->answer = shared->ask();
    } catch (const std::bad_alloc&) {
      shared->answer = resolver_failure(EAI_MEMORY);
    }
    shared->done->set_as_expected();
  });
  if (!thread.joinable()) return resolver_failure(EAI_MEMORY);
  thread.detach();
  const auto outcome = sync::wait(*shared->done, {}, self);
  if (outcome.kind == sync::WaitOutcome::Kind::satisfied) return std::move(*shared->answer);
  return fail(
      {.kind = ErrorKind::system, .status = abi::STATUS_CANCELLED, .what = "the thread is being stopped"});
}

/// AI_* of the host for those of Windows; what has none is about servers that are not ours.
int host_name_flags(int flags) {
  constexpr std::pair<int, int> kFlags[] = {
      {0x1, AI_PASSIVE}, {0x2, AI_CANONNAME},    {0x4, AI_NUMERICHOST}, {0x8, AI_NUMERICSERV},
      {0x100, AI_ALL},   {0x400, AI_ADDRCONFIG}, {0x800, AI_V4MAPPED}};
  int host = 0;
  for (const auto& [windows, ours] : kFlags) host |= (flags & windows) != 0 ? ours : 0;
  return host;
}

Result<NameAnswer> ask(const NameQuery& query) {
  addrinfo hints{};
  hints.ai_flags = host_name_flags(query.flags);
  hints.ai_family = host_family(query.family);
  hints.ai_socktype = query.type;
  hints.ai_protocol = query.protocol;
  const std::optional<std::string> host = query.host && query.host->empty() ? own_name() : query.host;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host ? host->c_str() : nullptr,
                               query.service ? query.service->c_str() : nullptr, &hints, &list);
  if (code != 0) return resolver_failure(code);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
  NameAnswer answer;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    if (one->ai_canonname != nullptr) answer.canonical = one->ai_canonname;
    sockaddr_storage storage{};
    std::memcpy(&storage, one->ai_addr, one->ai_addrlen);
    const SocketAddress address = to_windows(storage, one->ai_addrlen);
    // The host has one for each type of socket, if none was asked for.
    const bool known = std::ranges::any_of(answer.addresses, [&](const SocketAddress& other) {
      return std::ranges::equal(other.bytes, address.bytes);
    });
    if (!known) answer.addresses.push_back(address);
  }
  return answer;
}

}  // namespace

std::vector<std::byte> parse_address(const std::string& text, int family) {
  std::vector<std::byte> address(family == AF_INET ? 4 : 16);
  if (!knows_family(family) || inet_pton(host_family(family), text.c_str(), address.data()) != 1) return {};
  return address;
}

std::string address_text(std::span<const std::byte> address, int family) {
  char text[INET6_ADDRSTRLEN];
  if (!knows_family(family) || inet_ntop(host_family(family), address.data(), text, sizeof text) == nullptr)
    return {};
  return text;
}

std::uint32_t parse_inet(const char* text) { return inet_addr(text); }

Result<NameAnswer> resolve(NameQuery query, sync::Waiter& self) {
  return on_own_thread([query = std::move(query)] { return ask(query); }, self);
}

Result<std::string> name_of(std::span<const std::byte> address, int family, sync::Waiter& self) {
  sockaddr_storage storage{};
  storage.ss_family = static_cast<sa_family_t>(host_family(family));
  const bool is_v4 = family == AF_INET;
  void* const at = is_v4 ? static_cast<void*>(&reinterpret_cast<sockaddr_in&>(storage).sin_addr)
                         : &reinterpret_cast<sockaddr_in6&>(storage).sin6_addr;
  std::memcpy(at, address.data(), address.size());
  const socklen_t size = is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  return on_own_thread(
      [storage, size]() -> Result<std::string> {
        char name[NI_MAXHOST];
        const int code = getnameinfo(reinterpret_cast<const sockaddr*>(&storage), size, name, sizeof name,
                                     nullptr, 0, NI_NAMEREQD);
        if (code != 0) return resolver_failure(code);
        return name;
      },
      self);
}

std::string own_name() {
  char name[256] = "";
  (void)gethostname(name, sizeof name - 1);
  return name;
}

std::optional<Service> find_service(std::string_view name, std::uint16_t port, std::string_view protocol) {
  std::ifstream file("/etc/services");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    Service service{};
    char slash = 0;
    words >> service.name >> service.port >> slash >> service.protocol;
    bool meant = name.empty() ? service.port == port : service.name == name;
    for (std::string alias; !name.empty() && words >> alias;) meant |= alias == name;
    if (slash == '/' && meant && (protocol.empty() || protocol == service.protocol)) return service;
  }
  return std::nullopt;
}

}  // namespace bobbin::io
