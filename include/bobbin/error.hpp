// What can go wrong, as a value.
//
// Bobbin never throws, never ends its host, and never reports failure by a bare number. Everything that can
// fail returns Result<T>; the Error in it says what failed, where (file and offset, or module and RVA), and
// what the reader can do about it.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>

namespace bobbin {

/// The broad class of a failure, for programs that react differently to each.
enum class ErrorKind : std::uint8_t {
  not_pe,          ///< The file is no PE image at all.
  wrong_machine,   ///< A PE image, but not PE32+ for x86-64 (its `what` names what it is).
  malformed,       ///< A PE image whose fields contradict each other or the file's size.
  not_found,       ///< A file, DLL, folder or other named thing does not exist.
  missing_export,  ///< A DLL exists but lacks a function that was asked for.
  refused,         ///< A DLL's entry point returned FALSE, or a guest declined in another documented way.
  out_of_memory,   ///< Memory or address space ran out; nothing was changed.
  system,          ///< The host system refused (permission, I/O error, limit).
  invalid,         ///< The caller passed something that has no meaning.
  unsupported,     ///< Meaningful, but not implemented; `what` names the feature.
  guest_ended,     ///< The guest process has ended (ExitProcess); `status` is its exit code.
};

/// One failure. Plain data; copyable; owns its strings.
struct Error {
  ErrorKind kind = ErrorKind::system;
  /// The NTSTATUS that a guest asking for the same thing is told (its exit code for guest_ended).
  std::uint32_t status = 0xC0000001u;
  /// One sentence: what failed, naming the field, function or call.
  std::string what;
  /// The file or module concerned; empty if there is none.
  std::string file = {};
  /// Byte offset in that file, where one is known.
  std::optional<std::uint64_t> offset = {};
  /// Relative virtual address in that module, where one is known.
  std::optional<std::uint64_t> rva = {};
  /// What the reader can do about it; may be empty.
  std::string advice = {};

  /// All of the above as one line for people: `file: what (file offset 0x.., RVA 0x..); advice`.
  [[nodiscard]] std::string message() const;

  /// The same error, now naming `name` as the file concerned unless it already names one.
  [[nodiscard]] Error in(std::string name) && {
    if (file.empty()) file = std::move(name);
    return std::move(*this);
  }
};

template <class T>
using Result = std::expected<T, Error>;

}  // namespace bobbin
