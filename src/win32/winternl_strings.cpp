// ntdll's counted strings (winternl.h): UNICODE_STRING and ANSI_STRING, their making, comparing and freeing.
// Buffers that these functions make come from the process heap, where guests expect them.
#include <limits>

#include "abi/status.hpp"
#include "memory/heaps.hpp"
#include "nls/characters.hpp"
#include "nls/utf.hpp"
#include "win32/natives.hpp"
#include "win32/services.hpp"
#include "win32/text.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

constexpr std::size_t kMostBytes = std::numeric_limits<USHORT>::max();

memory::Heap& process_heap() { return *services().heaps.find(services().heaps.process_heap()); }

std::u16string_view view(const UNICODE_STRING& string) {
  return {string.Buffer, string.Length / sizeof(WCHAR)};
}
std::string_view view(const ANSI_STRING& string) { return {string.Buffer, string.Length}; }

/// Points `string` at the guest's zero-terminated text; too long a text is cut off, as on Windows.
template <class String, class Char>
void init(String* string, Char* text) {
  *string = {0, 0, text};
  if (text == nullptr) return;
  const std::size_t most = (kMostBytes - sizeof(Char)) & ~(sizeof(Char) - 1);
  const std::size_t bytes = std::min(std::char_traits<Char>::length(text) * sizeof(Char), most);
  string->Length = static_cast<USHORT>(bytes);
  string->MaximumLength = static_cast<USHORT>(bytes + sizeof(Char));
}

void RtlInitUnicodeString(UNICODE_STRING* string, LPWSTR text) { init(string, text); }
void RtlInitAnsiString(ANSI_STRING* string, LPSTR text) { init(string, text); }

NTSTATUS RtlInitUnicodeStringEx(UNICODE_STRING* string, LPWSTR text) {
  const bool too_long = text != nullptr && std::u16string_view(text).size() * sizeof(WCHAR) > kMostBytes - 3;
  if (too_long) return static_cast<NTSTATUS>(STATUS_NAME_TOO_LONG);
  init(string, text);
  return STATUS_SUCCESS;
}

/// Puts `text` and a zero into `string`, in a new buffer or in its own.
template <class String, class Char>
NTSTATUS assign(String* string, const std::basic_string<Char>& text, BOOLEAN allocate) {
  const std::size_t bytes = (text.size() + 1) * sizeof(Char);
  if (bytes > kMostBytes) return static_cast<NTSTATUS>(STATUS_INVALID_PARAMETER_2);
  if (allocate) {
    auto* const buffer = static_cast<Char*>(process_heap().allocate(bytes, {}));
    if (buffer == nullptr) return static_cast<NTSTATUS>(STATUS_NO_MEMORY);
    *string = {0, static_cast<USHORT>(bytes), buffer};
  }
  const std::size_t room = string->MaximumLength / sizeof(Char);
  const bool fits = text.size() < room;
  const std::size_t kept = fits ? text.size() : room == 0 ? 0 : room - 1;
  if (room != 0) *std::copy_n(text.data(), kept, string->Buffer) = 0;
  string->Length = static_cast<USHORT>(kept * sizeof(Char));
  return fits ? NTSTATUS{STATUS_SUCCESS} : static_cast<NTSTATUS>(STATUS_BUFFER_OVERFLOW);
}

NTSTATUS RtlUnicodeStringToAnsiString(ANSI_STRING* out, const UNICODE_STRING* in, BOOLEAN allocate) {
  return assign(out, nls::to_utf8(view(*in)), allocate);
}

NTSTATUS RtlAnsiStringToUnicodeString(UNICODE_STRING* out, const ANSI_STRING* in, BOOLEAN allocate) {
  return assign(out, nls::to_utf16(view(*in)), allocate);
}

template <class String>
void release(String* string) {
  if (string == nullptr || string->Buffer == nullptr) return;
  // A buffer that is not the heap's is the guest's error, which Windows' heap reports to a debugger only.
  (void)process_heap().free(string->Buffer);
  *string = {};
}

void RtlFreeUnicodeString(UNICODE_STRING* string) { release(string); }
void RtlFreeAnsiString(ANSI_STRING* string) { release(string); }

LONG RtlCompareUnicodeString(const UNICODE_STRING* a, const UNICODE_STRING* b, BOOLEAN ignore_case) {
  return nls::compare_ordinal(view(*a), view(*b), ignore_case != 0);
}

BOOLEAN RtlEqualUnicodeString(const UNICODE_STRING* a, const UNICODE_STRING* b, BOOLEAN ignore_case) {
  return a->Length == b->Length && RtlCompareUnicodeString(a, b, ignore_case) == 0;
}

WCHAR RtlUpcaseUnicodeChar(WCHAR unit) { return nls::to_upper(unit); }
WCHAR RtlDowncaseUnicodeChar(WCHAR unit) { return nls::to_lower(unit); }

const Export kExports[] = {
    NT_NATIVE(kNtdll, RtlAnsiStringToUnicodeString),
    NATIVE(kNtdll, RtlCompareUnicodeString),
    NATIVE(kNtdll, RtlDowncaseUnicodeChar),
    NATIVE(kNtdll, RtlEqualUnicodeString),
    NATIVE(kNtdll, RtlFreeAnsiString),
    NATIVE(kNtdll, RtlFreeUnicodeString),
    NATIVE(kNtdll, RtlInitAnsiString),
    NATIVE(kNtdll, RtlInitUnicodeString),
    NT_NATIVE(kNtdll, RtlInitUnicodeStringEx),
    NT_NATIVE(kNtdll, RtlUnicodeStringToAnsiString),
    NATIVE(kNtdll, RtlUpcaseUnicodeChar),
};

}  // namespace

std::span<const Export> winternl_strings_natives() { return kExports; }

}  // namespace bobbin::win32
