// DLLs that are not files: kernel32, ntdll and their kin, whose functions are ours, and DLLs that a host
// provides.
//
// Natives are registered as tables (win32/ owns them; the loader never includes it). Each native DLL has a
// synthetic PE image, for guests that walk export directories by hand: headers, an export directory, and for
// each function its fast path if it has one (arch/x86_64/fast_paths.hpp), and a jump. A guest's import is
// bound to the fast path in the image, or else straight to the native's address.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "arch/x86_64/fast_paths.hpp"
#include "base/error.hpp"
#include "memory/address_space.hpp"

namespace bobbin::loader {

/// One function that we export. `address` has the Windows calling convention. `dlls` is a set of bits, one
/// for each native DLL that exports it; their meaning is the registrar's.
struct NativeExport {
  const char* name;
  void* address;
  std::uint16_t dlls;
  const char* partial = nullptr;         ///< what it leaves undone, if it does only part of its job
  const arch::FastPath* fast = nullptr;  ///< what guests call in its place, if it has one
  std::uint16_t ordinal = 0;             ///< by which programs import it, if there are such
  bool system_call = false;              ///< hands the guest's pointers to the kernel on Windows
};

/// All natives by name. Built once, then read-only. A name may be there more than once, for different DLLs.
class NativeTable {
 public:
  explicit NativeTable(std::span<const std::span<const NativeExport>> tables);
  /// The export of that name from any DLL of `dlls`.
  [[nodiscard]] const NativeExport* find(std::string_view name, std::uint16_t dlls) const;
  /// The export with that ordinal. Where a DLL's exports have none, of() counted from 1, which is what its
  /// synthetic image says.
  [[nodiscard]] const NativeExport* find(std::uint32_t ordinal, std::uint16_t dlls) const;
  /// Every export of `dlls`, sorted by name.
  [[nodiscard]] std::vector<const NativeExport*> of(std::uint16_t dlls) const;

 private:
  /// Sorting is a tenth of what it costs to start, so most comparisons look at one number.
  struct Row {
    std::uint64_t start;  ///< the first eight characters, the first of all most significant
    const NativeExport* native;
  };
  static bool before(const Row& row, const Row& other);
  std::vector<Row> rows_;  ///< sorted by name
};

/// A synthetic image; given back by the destructor.
class SyntheticImage {
 public:
  struct Symbol {
    std::string_view name;
    void* address;
    const arch::FastPath* fast = nullptr;
  };
  /// `symbols` sorted by name. A program (no DLL) if `dll` is false.
  [[nodiscard]] static Result<SyntheticImage> make(memory::AddressSpace& space, std::string_view name,
                                                   std::span<const Symbol> symbols, bool dll);
  SyntheticImage(SyntheticImage&& other) noexcept
      : space_(other.space_), base_(std::exchange(other.base_, nullptr)), size_(other.size_) {}
  SyntheticImage& operator=(SyntheticImage&&) = delete;
  ~SyntheticImage();
  [[nodiscard]] std::byte* base() const { return base_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The code of the symbol that came as the `number`-th.
  [[nodiscard]] std::byte* entry(std::size_t number) const;

 private:
  SyntheticImage() = default;
  memory::AddressSpace* space_ = nullptr;
  std::byte* base_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace bobbin::loader
