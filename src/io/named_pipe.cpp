#include "io/named_pipe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "abi/io.hpp"
#include "abi/status.hpp"
#include "io/paths.hpp"

namespace bobbin::io {
namespace {

std::unexpected<Error> refused(std::uint32_t status, const char* what) {
  return fail({.kind = ErrorKind::system, .status = status, .what = what});
}

bool peer_has_left(int fd) {
  pollfd item{.fd = fd, .events = 0, .revents = 0};
  return poll(&item, 1, 0) > 0 && (item.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace

namespace {

constexpr std::u16string_view kFolder = u"\\\\.\\pipe\\";

/// Whether the path begins as that of a pipe does, as far as it goes.
bool begins_in_folder(std::u16string_view path) {
  for (std::size_t i = 0; i < std::min(path.size(), kFolder.size()); ++i) {
    const bool separator = kFolder[i] == u'\\';
    const bool fits = separator ? is_separator(path[i])
                      : i == 2  ? path[i] == u'.' || path[i] == u'?'
                                : fold(path[i]) == fold(kFolder[i]);
    if (!fits) return false;
  }
  return true;
}

}  // namespace

std::optional<std::u16string_view> NamedPipes::name_in(std::u16string_view path) {
  path = path.substr(0, path.find(u'\0'));
  if (path.size() <= kFolder.size() || !begins_in_folder(path)) return std::nullopt;
  return path.substr(kFolder.size());
}

bool NamedPipes::is_folder(std::u16string_view path) {
  return (path.size() == kFolder.size() || path.size() == kFolder.size() - 1) && begins_in_folder(path);
}

Result<sync::Ref<File>> NamedPipes::open_folder() {
  os::Descriptor descriptor(::open("/", O_PATH | O_CLOEXEC));
  if (!descriptor) return host_failure("open", errno);
  return sync::Ref<File>::adopt(
      new File(std::move(descriptor), {.kind = FileKind::pipe_folder, .access = abi::FILE_READ_ATTRIBUTES}));
}

Result<NamedPipes::Ends> NamedPipes::make_ends(const PipeTerms& terms, std::size_t size) {
  int ends[2];
  if (terms.to_server && terms.to_client) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
      return host_failure("socketpair", errno);
    return Ends{os::Descriptor(ends[0]), os::Descriptor(ends[1])};
  }
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return host_failure("pipe2", errno);
  Ends made{os::Descriptor(ends[0]), os::Descriptor(ends[1])};
  constexpr std::size_t kUsual = 65536;
  if (size > kUsual) fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(std::min<std::size_t>(size, 1u << 20)));
  if (terms.to_client) std::swap(made.server, made.client);
  return made;
}

Result<sync::Ref<File>> NamedPipes::create(std::u16string_view name, PipeTerms terms, std::uint32_t flags,
                                           std::size_t size, bool first) {
  auto ends = make_ends(terms, size);
  if (!ends) return propagate(ends);
  auto instance = std::make_shared<PipeInstance>(*this, std::u16string(name), terms, size);
  instance->client = std::move(ends->client);
  const std::uint32_t access = abi::FILE_READ_ATTRIBUTES | abi::FILE_WRITE_ATTRIBUTES |
                               (terms.to_server ? abi::FILE_GENERIC_READ : 0u) |
                               (terms.to_client ? abi::FILE_GENERIC_WRITE : 0u);
  const std::scoped_lock lock(mutex_);
  std::uint32_t count = 0;
  for (const PipeInstance* other : instances_) {
    if (name.empty() || !same_name(other->name, name)) continue;
    if (first || other->terms.to_server != terms.to_server || other->terms.to_client != terms.to_client)
      return refused(abi::STATUS_ACCESS_DENIED, "the pipe exists, or is of another kind");
    if (++count >= other->terms.most)
      return refused(abi::STATUS_INSTANCE_NOT_AVAILABLE, "the pipe has all the instances that it may have");
  }
  instances_.reserve(instances_.size() + 1);
  auto file = sync::Ref<File>::adopt(new File(
      std::move(ends->server), {.kind = FileKind::pipe, .access = access, .flags = flags, .pipe = instance}));
  instance->file = file.get();
  instances_.push_back(instance.get());
  listen(*instance);
  return file;
}

Result<sync::Ref<File>> NamedPipes::take_client(PipeInstance& instance, std::uint32_t access,
                                                std::uint32_t flags) {
  if (((access & abi::FILE_READ_DATA) != 0 && !instance.terms.to_client) ||
      ((access & abi::FILE_WRITE_DATA) != 0 && !instance.terms.to_server))
    return refused(abi::STATUS_ACCESS_DENIED, "the pipe goes the other way");
  if (instance.state != PipeInstance::State::listening)
    return refused(abi::STATUS_PIPE_NOT_AVAILABLE, "the instance has its client");
  auto client = sync::Ref<File>::adopt(
      new File(std::move(instance.client), {.kind = FileKind::pipe, .access = access, .flags = flags}));
  instance.client = os::Descriptor();
  instance.state = PipeInstance::State::connected;
  return client;
}

Result<sync::Ref<File>> NamedPipes::open(std::u16string_view name, std::uint32_t access,
                                         std::uint32_t flags) {
  const File* server = nullptr;
  Result<sync::Ref<File>> client = refused(abi::STATUS_OBJECT_NAME_NOT_FOUND, "there is no such pipe");
  {
    const std::scoped_lock lock(mutex_);
    for (PipeInstance* instance : instances_) {
      if (!same_name(instance->name, name)) continue;
      client = take_client(*instance, access, flags);
      server = instance->file;
      if (client || client.error().status != abi::STATUS_PIPE_NOT_AVAILABLE) break;
    }
  }
  if (client) operations_.look(server);
  return client;
}

Result<sync::Ref<File>> NamedPipes::open_client(const File& server, std::uint32_t access,
                                                std::uint32_t flags) {
  auto client = [&] {
    const std::scoped_lock lock(mutex_);
    return take_client(*server.pipe(), access, flags);
  }();
  if (client) operations_.look(&server);
  return client;
}

bool NamedPipes::exists(std::u16string_view name) {
  const std::scoped_lock lock(mutex_);
  return std::ranges::any_of(instances_, [&](const PipeInstance* one) { return same_name(one->name, name); });
}

Result<void> NamedPipes::wait(std::u16string_view name, std::uint32_t milliseconds, sync::Waiter& self) {
  const auto event = sync::Ref<sync::Event>::adopt(new sync::Event(false, false));
  os::Deadline deadline;
  const auto forget = [&] {
    const std::scoped_lock lock(mutex_);
    std::erase_if(waiting_, [&](const auto& one) { return one.get() == event.get(); });
  };
  for (bool begun = false;; begun = true) {
    {
      const std::scoped_lock lock(mutex_);
      const PipeInstance* known = nullptr;
      for (const PipeInstance* instance : instances_) {
        if (!same_name(instance->name, name)) continue;
        known = instance;
        if (instance->state == PipeInstance::State::listening) break;
      }
      const bool there = known != nullptr && known->state == PipeInstance::State::listening;
      if (there || known == nullptr)
        std::erase_if(waiting_, [&](const auto& one) { return one.get() == event.get(); });
      if (there) return {};
      if (known == nullptr) return refused(abi::STATUS_OBJECT_NAME_NOT_FOUND, "there is no such pipe");
      if (!begun) {
        waiting_.push_back(event);
        const std::uint32_t time = milliseconds == 0 ? known->terms.default_wait : milliseconds;
        if (time != 0xFFFFFFFFu) deadline = sync::deadline_after(time * std::uint64_t{1'000'000});
      }
    }
    const auto outcome = sync::wait(*event, deadline, self);
    if (outcome.kind == sync::WaitOutcome::Kind::satisfied) continue;
    forget();
    return outcome.kind == sync::WaitOutcome::Kind::timed_out
               ? refused(abi::STATUS_IO_TIMEOUT, "no instance of the pipe has become free")
               : refused(abi::STATUS_CANCELLED, "the thread is being stopped");
  }
}

std::optional<Outcome> NamedPipes::try_connect(PipeInstance& instance, bool first_time) {
  const std::scoped_lock lock(mutex_);
  if (instance.state == PipeInstance::State::connected) {
    if (!first_time) return Outcome{};  // came while we waited
    return Outcome{peer_has_left(instance.file->fd()) ? abi::STATUS_PIPE_CLOSING
                                                      : abi::STATUS_PIPE_CONNECTED};
  }
  if (instance.state == PipeInstance::State::disconnected) listen(instance);
  return std::nullopt;
}

Result<void> NamedPipes::disconnect(File& server) {
  PipeInstance& instance = *server.pipe();
  {
    const std::scoped_lock lock(mutex_);
    if (instance.state == PipeInstance::State::disconnected)
      return refused(abi::STATUS_PIPE_DISCONNECTED, "the pipe has been disconnected");
    if (instance.state == PipeInstance::State::listening)
      return refused(abi::STATUS_PIPE_LISTENING, "no client has opened the pipe");
    auto ends = make_ends(instance.terms, instance.size);
    if (!ends) return propagate(ends);
    // In place, so that whoever is reading just now finds that the other end has gone.
    if (dup3(ends->server.get(), server.fd(), O_CLOEXEC) < 0) return host_failure("dup3", errno);
    instance.client = std::move(ends->client);
    instance.state = PipeInstance::State::disconnected;
  }
  operations_.end_all(server, abi::STATUS_PIPE_DISCONNECTED);
  return {};
}

void NamedPipes::listen(PipeInstance& instance) {
  instance.state = PipeInstance::State::listening;
  for (const auto& one : waiting_) one->set();
}

void NamedPipes::remove(PipeInstance& instance) noexcept {
  const std::scoped_lock lock(mutex_);
  std::erase(instances_, &instance);
  for (const auto& one : waiting_) one->set();  // the name may have gone
}

}  // namespace bobbin::io
