// How natives take strings from guests and give them back: counted or zero-terminated, into buffers whose
// size may be 0 ("how much would it take?").
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "win32/native.hpp"

namespace bobbin::win32 {

/// A guest's string of `length` characters; a negative length means up to the terminating zero, without it.
template <class Char>
[[nodiscard]] std::basic_string_view<Char> text_of(const Char* text, int length) {
  return length < 0 ? std::basic_string_view<Char>(text)
                    : std::basic_string_view<Char>(text, static_cast<std::size_t>(length));
}

/// Likewise, where a negative length means up to the terminating zero and with it.
template <class Char>
[[nodiscard]] std::basic_string_view<Char> text_with_end(const Char* text, int length) {
  const auto found = text_of(text, length);
  return length < 0 ? std::basic_string_view<Char>(text, found.size() + 1) : found;
}

/// Copies `text` to a buffer of `room` characters and answers its length; with no room at all it only
/// answers. Too little room: 0 and ERROR_INSUFFICIENT_BUFFER, and the buffer holds what fitted.
template <class Char>
[[nodiscard]] int deliver(std::basic_string_view<Char> text, Char* buffer, int room) {
  text.copy(buffer, static_cast<std::size_t>(room));
  if (room != 0 && text.size() > static_cast<std::size_t>(room))
    return failed(abi::ERROR_INSUFFICIENT_BUFFER);
  return static_cast<int>(text.size());
}
template <class Char>
[[nodiscard]] int deliver(const std::basic_string<Char>& text, Char* buffer, int room) {
  return deliver(std::basic_string_view<Char>(text), buffer, room);
}

/// The other kind of answer (GetCurrentDirectory, GetSystemDirectory): `room` includes the terminating zero.
/// The length without it if it fits, else the room that it takes, and nothing is written.
template <class Char>
std::uint32_t deliver_terminated(std::basic_string_view<Char> text, Char* buffer, std::uint32_t room) {
  if (buffer == nullptr || text.size() >= room) return static_cast<std::uint32_t>(text.size() + 1);
  *std::copy(text.begin(), text.end(), buffer) = 0;
  return static_cast<std::uint32_t>(text.size());
}
template <class Char>
std::uint32_t deliver_terminated(const std::basic_string<Char>& text, Char* buffer, std::uint32_t room) {
  return deliver_terminated(std::basic_string_view<Char>(text), buffer, room);
}

/// GetStringType of every form: one word for each unit of `text` (stringapiset.cpp).
[[nodiscard]] abi::BOOL string_types(abi::DWORD kind, std::u16string_view text, abi::WORD* types);

}  // namespace bobbin::win32
