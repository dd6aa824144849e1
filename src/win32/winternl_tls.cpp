// ntdll's calls by which TLS is changed in all threads at once. Windows' own loader makes them; here only
// guests do that map DLLs by themselves.
#include <cstring>
#include <vector>

#include "tls/engine.hpp"
#include "win32/handles.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;

enum : ULONG { ThreadZeroTlsCell = 10, ProcessTlsInformation = 35 };
enum : ULONG { ProcessTlsReplaceIndex = 0, ProcessTlsReplaceVector = 1 };
/// THREAD_TLS_INFORMATION.Flags of an entry that a thread has taken.
constexpr ULONG kTaken = 2;

/// PROCESS_TLS_INFORMATION has come in three layouts (specification 3.4). They differ in where the entries
/// begin and in how long they are, so that the length of the whole tells which one a program was made for.
struct Layout {
  std::size_t header, entry;
  std::size_t previous_count;  ///< offset of what ReplaceVector goes by
  std::size_t old_data;        ///< offsets in an entry
  std::size_t thread_id;
};
constexpr Layout kLayouts[] = {
    {.header = 16, .entry = 32, .previous_count = 12, .old_data = 16, .thread_id = 24},
    // Recent headers: the index and the previous count apart.
    {.header = 24, .entry = 32, .previous_count = 16, .old_data = 16, .thread_id = 24},
    // Vista: one word for the new data, and then for the old.
    {.header = 16, .entry = 24, .previous_count = 12, .old_data = 8, .thread_id = 16},
};
constexpr std::size_t kOperation = 4, kCount = 8, kIndex = 12, kNewData = 8;

template <class T>
T read(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <class T>
void write(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

const Layout* layout_of(std::size_t count, std::size_t length) {
  for (const Layout& layout : kLayouts) {
    if (count != 0 && length == layout.header + count * layout.entry) return &layout;
  }
  return nullptr;
}

NTSTATUS replace_tls(std::byte* information, ULONG length) {
  if (length < kLayouts[0].header) return nt(STATUS_INFO_LENGTH_MISMATCH);
  if (information == nullptr) return nt(STATUS_ACCESS_VIOLATION);
  const Layout* const layout = layout_of(read<ULONG>(information + kCount), length);
  if (layout == nullptr) return nt(STATUS_INFO_LENGTH_MISMATCH);
  const auto flags = read<ULONG>(information), operation = read<ULONG>(information + kOperation);
  if (flags != 0 || operation > ProcessTlsReplaceVector) return nt(STATUS_INVALID_PARAMETER);

  std::vector<tls::ThreadData> data;
  data.reserve((length - layout->header) / layout->entry);
  for (std::byte* at = information + layout->header; at != information + length; at += layout->entry) {
    if (read<ULONG>(at) != 0) return nt(STATUS_INVALID_PARAMETER);
    data.push_back({.data = read<void*>(at + kNewData)});
  }
  const bool vectors = operation == ProcessTlsReplaceVector;
  const auto number = read<ULONG>(information + (vectors ? layout->previous_count : kIndex));
  auto done =
      services().tls.exchange(vectors ? tls::Exchange::vectors : tls::Exchange::entries, number, data);
  if (!done) return nt(done.error());
  std::byte* at = information + layout->header;
  for (const tls::ThreadData& one : data) {
    if (one.taken) {
      write(at, kTaken);
      write(at + layout->old_data, one.previous);
      write(at + layout->thread_id, one.thread_id);
    }
    at += layout->entry;
  }
  return STATUS_SUCCESS;
}

NTSTATUS NtSetInformationProcess(HANDLE process, ULONG what, PVOID information, ULONG length) {
  if (what != ProcessTlsInformation) return nt(STATUS_INVALID_INFO_CLASS);
  if (process != kCurrentProcess) return nt(STATUS_INVALID_HANDLE);  // this pseudo handle only
  return replace_tls(static_cast<std::byte*>(information), length);
}

NTSTATUS NtSetInformationThread(HANDLE thread, ULONG what, PVOID information, ULONG length) {
  if (what != ThreadZeroTlsCell) return nt(STATUS_INVALID_INFO_CLASS);
  if (length != sizeof(ULONG)) return nt(STATUS_INFO_LENGTH_MISMATCH);
  if (thread != kCurrentThread) return nt(STATUS_INVALID_HANDLE);
  if (information == nullptr) return nt(STATUS_ACCESS_VIOLATION);
  return nt(services().tls.zero_slot(*static_cast<const ULONG*>(information)) ? STATUS_SUCCESS
                                                                              : STATUS_INVALID_PARAMETER);
}

const Export kExports[] = {
    NT_NATIVE(kNtdll, NtSetInformationProcess),
    NT_NATIVE(kNtdll, NtSetInformationThread),
};

}  // namespace

std::span<const Export> winternl_tls_natives() { return kExports; }

}  // namespace bobbin::win32
