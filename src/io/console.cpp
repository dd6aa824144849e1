#include "io/console.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "abi/status.hpp"
#include "io/file.hpp"
#include "nls/utf.hpp"

namespace bobbin::io {
namespace {

using namespace abi;

constexpr DWORD kTerminalBits = ENABLE_PROCESSED_INPUT | ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT;
constexpr DWORD kInputBits = 0x3FF;
constexpr DWORD kOutputBits = 0x1F;
constexpr DWORD kLeftCtrl = 8;

Result<termios> settings_of(int fd) {
  termios settings;
  if (tcgetattr(fd, &settings) != 0) return host_failure("tcgetattr", errno);
  return settings;
}

std::unexpected<Error> bad_mode() {
  return fail({.kind = ErrorKind::invalid,
               .status = STATUS_INVALID_PARAMETER,
               .what = "the console mode has bits that mean nothing together"});
}

struct Key {
  std::string_view sequence;
  WORD code;
};
constexpr auto kKeys = std::to_array<Key>({
    {"\x1b[A", 0x26},
    {"\x1b[B", 0x28},
    {"\x1b[C", 0x27},
    {"\x1b[D", 0x25},
    {"\x1b[H", 0x24},
    {"\x1b[F", 0x23},
    {"\x1b[2~", 0x2D},
    {"\x1b[3~", 0x2E},
    {"\x1b[5~", 0x21},
    {"\x1b[6~", 0x22},
});

/// The virtual key that makes a character on a common keyboard; 0 where that depends on the layout.
WORD key_of(char32_t c) {
  if (c >= U'a' && c <= U'z') return static_cast<WORD>(c - 32);
  if ((c >= U'A' && c <= U'Z') || (c >= U'0' && c <= U'9') || c == U' ' || c == U'\t' || c == U'\r' ||
      c == 0x1B) {
    return static_cast<WORD>(c);
  }
  if (c == 8) return 8;
  return c >= 1 && c <= 26 ? static_cast<WORD>(c + 64) : WORD{0};
}

INPUT_RECORD key_event(bool down, WORD code, char16_t unit, DWORD control) {
  INPUT_RECORD record{};
  record.EventType = KEY_EVENT;
  record.Event.bKeyDown = down ? TRUE : FALSE;
  record.Event.wRepeatCount = 1;
  record.Event.wVirtualKeyCode = code;
  record.Event.uChar.UnicodeChar = unit;
  record.Event.dwControlKeyState = control;
  return record;
}

}  // namespace

Result<std::uint32_t> Console::input_mode(int fd) {
  auto settings = settings_of(fd);
  if (!settings) return propagate(settings);
  const auto bit = [&](tcflag_t flag, DWORD mode) { return (settings->c_lflag & flag) != 0 ? mode : 0; };
  return bit(ISIG, ENABLE_PROCESSED_INPUT) | bit(ICANON, ENABLE_LINE_INPUT) | bit(ECHO, ENABLE_ECHO_INPUT) |
         input_extra_;
}

Result<void> Console::set_input_mode(int fd, std::uint32_t mode) {
  if ((mode & ~kInputBits) != 0) return bad_mode();
  if ((mode & ENABLE_ECHO_INPUT) != 0 && (mode & ENABLE_LINE_INPUT) == 0) return bad_mode();
  auto settings = settings_of(fd);
  if (!settings) return propagate(settings);
  {
    const std::scoped_lock lock(mutex_);
    if (!original_) original_ = *settings, original_fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  }
  const auto apply = [&](tcflag_t& flags, tcflag_t flag, bool on) {
    flags = on ? flags | flag : flags & ~flag;
  };
  const bool lines = (mode & ENABLE_LINE_INPUT) != 0;
  apply(settings->c_lflag, ISIG, (mode & ENABLE_PROCESSED_INPUT) != 0);
  apply(settings->c_lflag, ICANON | IEXTEN, lines);
  apply(settings->c_lflag, ECHO, (mode & ENABLE_ECHO_INPUT) != 0);
  apply(settings->c_iflag, ICRNL, lines);  // without lines, Enter is a CR, as on Windows
  settings->c_cc[VMIN] = 1;
  settings->c_cc[VTIME] = 0;
  if (tcsetattr(fd, TCSANOW, &*settings) != 0) return host_failure("tcsetattr", errno);
  input_extra_ = mode & ~kTerminalBits;
  return {};
}

Result<void> Console::set_output_mode(std::uint32_t mode) {
  if ((mode & ~kOutputBits) != 0) return bad_mode();
  output_mode_ = mode;
  return {};
}

void Console::restore() noexcept {
  const std::scoped_lock lock(mutex_);
  if (original_ && original_fd_ >= 0) {
    tcsetattr(original_fd_, TCSANOW, &*original_);
    close(original_fd_);
  }
  original_.reset();
}

Result<bool> Console::fill(int fd, sync::Waiter& self) {
  auto settings = settings_of(fd);
  if (!settings) return propagate(settings);
  std::array<char, 4096> bytes;
  for (;;) {
    auto ready = wait_ready(fd, false, self);
    if (!ready) return propagate(ready);
    const ssize_t count = ::read(fd, bytes.data(), bytes.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return false;  // the end, or a terminal that hung up
    const std::scoped_lock lock(mutex_);
    for (const char c : std::span(bytes).first(static_cast<std::size_t>(count))) {
      if (c == '\n' && (settings->c_lflag & ICANON) != 0) input_ += '\r';
      input_ += c;
    }
    return true;
  }
}

Result<std::size_t> Console::read(int fd, std::span<std::byte> into, sync::Waiter& self) {
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      const std::size_t count = std::min(into.size(), input_.size());
      if (count != 0 || into.empty()) {
        std::memcpy(into.data(), input_.data(), count);
        input_.erase(0, count);
        return count;
      }
    }
    auto more = fill(fd, self);
    if (!more) return propagate(more);
    if (!*more) return 0;
  }
}

Result<std::size_t> Console::read(int fd, std::span<char16_t> into, sync::Waiter& self) {
  if (into.empty()) return 0;
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      std::size_t count = 0;
      if (pending_low_ != 0) into[count++] = std::exchange(pending_low_, u'\0');
      std::size_t taken = 0;
      while (count < into.size() && taken < input_.size()) {
        const nls::Decoded next = nls::decode(std::string_view(input_).substr(taken));
        const bool cut = !next.well_formed && input_.size() - taken < 4 && (input_[taken] & 0xC0) == 0xC0;
        if (cut && count != 0) break;  // the rest of the character is still to come
        taken += next.length;
        char16_t units[2];
        const unsigned size = nls::encode(next.code, units);
        into[count++] = units[0];
        if (size == 2 && count < into.size())
          into[count++] = units[1];
        else if (size == 2)
          pending_low_ = units[1];
      }
      input_.erase(0, taken);
      if (count != 0) return count;
    }
    auto more = fill(fd, self);
    if (!more) return propagate(more);
    if (!*more) return 0;
  }
}

void Console::add_key(std::string_view& bytes) {
  for (const Key& key : kKeys) {
    if (!bytes.starts_with(key.sequence)) continue;
    bytes.remove_prefix(key.sequence.size());
    events_.push_back(key_event(true, key.code, 0, 0));
    events_.push_back(key_event(false, key.code, 0, 0));
    return;
  }
  const nls::Decoded next = nls::decode(bytes);
  bytes.remove_prefix(next.length);
  char32_t c = next.code;
  if (c == U'\n') c = U'\r';
  if (c == 0x7F) c = 8;
  const bool plain = c == 8 || c == U'\t' || c == U'\r';
  const DWORD control = c >= 1 && c <= 26 && !plain ? kLeftCtrl : 0;
  char16_t units[2];
  const unsigned size = nls::encode(c, units);
  for (unsigned i = 0; i < size; ++i) {
    events_.push_back(key_event(true, key_of(c), units[i], control));
    events_.push_back(key_event(false, key_of(c), units[i], control));
  }
}

/// Turns all input that has arrived into events; mutex_ is held.
void Console::pump_events(int fd) {
  while (readable_now(fd)) {
    std::array<char, 256> bytes;
    const ssize_t count = ::read(fd, bytes.data(), bytes.size());
    if (count <= 0) break;
    input_.append(bytes.data(), static_cast<std::size_t>(count));
  }
  std::string_view rest = input_;
  while (!rest.empty()) add_key(rest);
  input_.clear();
}

Result<std::size_t> Console::events(int fd, std::span<abi::INPUT_RECORD> into, bool take, bool wait,
                                    sync::Waiter& self) {
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      pump_events(fd);
      const std::size_t count = std::min(into.size(), events_.size());
      std::copy_n(events_.begin(), count, into.begin());
      if (take) events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(count));
      if (count != 0 || !wait || into.empty()) return count;
    }
    auto ready = wait_ready(fd, false, self);
    if (!ready) return propagate(ready);
  }
}

std::size_t Console::count_events(int fd) {
  const std::scoped_lock lock(mutex_);
  pump_events(fd);
  return events_.size();
}

void Console::flush_input(int fd) {
  const std::scoped_lock lock(mutex_);
  tcflush(fd, TCIFLUSH);
  input_.clear();
  events_.clear();
}

std::string Console::encode_output(std::u16string_view text) {
  const std::scoped_lock lock(mutex_);
  std::u16string whole;
  if (pending_high_ != 0) whole += std::exchange(pending_high_, u'\0');
  whole += text;
  if (!whole.empty() && nls::is_high_surrogate(whole.back())) {
    pending_high_ = whole.back();
    whole.pop_back();
  }
  return nls::to_utf8(whole);
}

// Windows' bits are blue, green, red, bright; a terminal counts red, green, blue.
std::string Console::set_attributes(std::uint16_t attributes) {
  attributes_ = attributes;
  if (attributes == 7) return "\x1b[0m";
  const auto colour = [](unsigned bits, unsigned normal) {
    const unsigned swapped = (bits & 4u) >> 2 | (bits & 2u) | (bits & 1u) << 2;
    return std::to_string(normal + swapped + ((bits & 8u) != 0 ? 60 : 0));
  };
  return "\x1b[0;" + colour(attributes & 15u, 30) + ";" + colour(attributes >> 4 & 15u, 40) + "m";
}

std::u16string Console::title() const {
  const std::scoped_lock lock(mutex_);
  return title_;
}

std::string Console::set_title(std::u16string_view title) {
  const std::scoped_lock lock(mutex_);
  title_ = title;
  std::string text = nls::to_utf8(title);
  std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  return "\x1b]0;" + text + "\a";
}

void Console::add_handler(void* handler) {
  const std::scoped_lock lock(mutex_);
  handlers_.push_back(handler);
}

bool Console::remove_handler(void* handler) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find(handlers_, handler);
  if (found == handlers_.end()) return false;
  handlers_.erase(found);
  return true;
}

std::vector<void*> Console::handlers() const {
  const std::scoped_lock lock(mutex_);
  return {handlers_.rbegin(), handlers_.rend()};
}

}  // namespace bobbin::io
