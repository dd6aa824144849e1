// memoryapi.h, file mappings and their views (the address space itself is in memoryapi.cpp).
#include "base/checked.hpp"
#include "io/section.hpp"
#include "memory/address_space.hpp"
#include "win32/io_support.hpp"
#include "win32/natives.hpp"

namespace bobbin::win32 {
namespace {

using namespace abi;
using io::Section;

enum : DWORD { FILE_MAP_COPY = 0x1, FILE_MAP_WRITE = 0x2, FILE_MAP_READ = 0x4, FILE_MAP_EXECUTE = 0x20 };
enum : DWORD { SEC_RESERVE = 0x4000000, SEC_COMMIT = 0x8000000, SEC_NOCACHE = 0x10000000 };

HANDLE CreateFileMappingW(HANDLE handle, SECURITY_ATTRIBUTES* attributes, DWORD protect, DWORD size_high,
                          DWORD size_low, LPCWSTR name) {
  constexpr DWORD kPage = 0xFF;
  // Memory that is only reserved is memory here: the host commits a page when it is first touched.
  if ((protect & ~kPage & ~(SEC_RESERVE | SEC_COMMIT | SEC_NOCACHE)) != 0)
    return failed(ERROR_NOT_SUPPORTED, nullptr);  // images and large pages
  const DWORD page = protect & kPage;
  const bool execute = page >= memory::kExecute;
  const bool write = page == memory::kReadWrite || page == memory::kExecuteReadWrite;
  if (!write && page != memory::kReadOnly && page != memory::kWriteCopy && page != memory::kExecuteRead &&
      page != memory::kExecuteWriteCopy) {
    return failed(ERROR_INVALID_PARAMETER, nullptr);
  }
  const std::uint64_t size = std::uint64_t{size_high} << 32 | size_low;
  const auto make = [&]() -> Result<sync::Ref<Section>> {
    if (handle == INVALID_HANDLE_VALUE) return Section::of_memory(size, execute);
    auto file = file_of(handle);
    if (!file) return propagate(file);
    return Section::of_file(**file, size, write, execute);
  };
  auto section = make();
  if (!section) return failed(section.error(), nullptr);
  return new_named_handle(std::move(*section), name, attributes);
}

HANDLE CreateFileMappingA(HANDLE handle, SECURITY_ATTRIBUTES* attributes, DWORD protect, DWORD size_high,
                          DWORD size_low, LPCSTR name) {
  const std::u16string wide_name = wide(name);
  return CreateFileMappingW(handle, attributes, protect, size_high, size_low,
                            name == nullptr ? nullptr : wide_name.c_str());
}

HANDLE OpenFileMappingW(DWORD, BOOL inherit, LPCWSTR name) {
  return open_named(name, sync::Kind::mapping, inherit != FALSE);
}

HANDLE OpenFileMappingA(DWORD access, BOOL inherit, LPCSTR name) {
  return OpenFileMappingW(access, inherit, name == nullptr ? nullptr : wide(name).c_str());
}

/// PAGE_* for what a view is asked for; 0 for nothing that can be.
DWORD view_protection(DWORD access) {
  const bool execute = (access & FILE_MAP_EXECUTE) != 0;
  if ((access & FILE_MAP_WRITE) != 0) return execute ? memory::kExecuteReadWrite : memory::kReadWrite;
  if ((access & FILE_MAP_COPY) != 0) return execute ? memory::kExecuteWriteCopy : memory::kWriteCopy;
  if ((access & FILE_MAP_READ) != 0) return execute ? memory::kExecuteRead : memory::kReadOnly;
  return 0;
}

Result<std::byte*> map_view(const Section& section, std::uint64_t offset, std::uint64_t size, DWORD access,
                            void* at) {
  const DWORD protect = view_protection(access);
  const bool shared = (access & FILE_MAP_COPY) == 0 || (access & FILE_MAP_WRITE) != 0;
  const auto refuse = [](std::uint32_t status, const char* what) {
    return fail({.kind = ErrorKind::invalid, .status = status, .what = what});
  };
  if (protect == 0 || offset >= section.size()) return refuse(STATUS_INVALID_PARAMETER, "no such view");
  if (offset % memory::kAllocationGranularity != 0)
    return refuse(io::status_of_win32(ERROR_MAPPED_ALIGNMENT), "a view begins at a multiple of 64 KiB");
  const bool writes = shared && (access & FILE_MAP_WRITE) != 0;
  if ((writes && !section.writable()) || ((access & FILE_MAP_EXECUTE) != 0 && !section.executable()))
    return refuse(STATUS_ACCESS_DENIED, "the mapping was not made for such a view");
  if (size == 0) size = section.size() - offset;
  if (size > section.size() - offset)
    return refuse(STATUS_ACCESS_DENIED, "the view is longer than its mapping");
  const std::uint64_t pages = align_up<std::uint64_t>(size, os::kPageSize);
  auto base = services().memory.reserve(pages, at, memory::Type::mapped, protect);
  if (!base) return base;
  using Writes = memory::AddressSpace::Writes;
  auto committed = services().memory.commit_file(*base, pages, section.fd(), offset, protect,
                                                 shared ? Writes::shared : Writes::copied);
  if (committed) return base;
  (void)services().memory.release(*base);
  return propagate(committed);
}

LPVOID MapViewOfFileEx(HANDLE handle, DWORD access, DWORD offset_high, DWORD offset_low, SIZE_T size,
                       LPVOID at) {
  auto section = borrow<Section>(handle, sync::Kind::mapping);
  if (!section) return failed<LPVOID>(section.error());
  auto view = map_view(**section, std::uint64_t{offset_high} << 32 | offset_low, size, access, at);
  return view ? *view : failed<LPVOID>(view.error());
}

LPVOID MapViewOfFile(HANDLE handle, DWORD access, DWORD offset_high, DWORD offset_low, SIZE_T size) {
  return MapViewOfFileEx(handle, access, offset_high, offset_low, size, nullptr);
}

BOOL UnmapViewOfFile(LPCVOID address) {
  const memory::Region region = services().memory.query(address);
  if (region.state == memory::State::free || region.type != memory::Type::mapped)
    return failed(ERROR_INVALID_ADDRESS);
  return done(services().memory.release(region.allocation_base));
}

const Export kExports[] = {
    NATIVE(kKernel32, CreateFileMappingA), NATIVE(kKernel32, CreateFileMappingW),
    NATIVE(kKernel32, MapViewOfFile),      NATIVE(kKernel32, MapViewOfFileEx),
    NATIVE(kKernel32, OpenFileMappingA),   NATIVE(kKernel32, OpenFileMappingW),
    NATIVE(kKernel32, UnmapViewOfFile),
};

}  // namespace

std::span<const Export> memoryapi_mappings_natives() { return kExports; }

}  // namespace bobbin::win32
