// Which function an address lies in: the rows of all modules' .pdata, and those that the guest adds at run
// time for code that it generates. The rows are the guest's memory, which it may free or protect at any time:
// then they say nothing. So what is found is a place, to be read with care.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "abi/exception.hpp"
#include "os/os.hpp"

namespace bobbin::unwind {

/// A row, and what its RVAs count from.
struct Found {
  abi::RUNTIME_FUNCTION* row = nullptr;  ///< nullptr: there is none
  std::uint64_t base = 0;
};

/// A module as the loader tells of it. Its rows are the guest's memory, and stay while it is registered.
struct Module {
  std::uint64_t base = 0;
  std::uint64_t size = 0;
  std::span<abi::RUNTIME_FUNCTION> rows;
  bool wine_builtin = false;  ///< "Wine builtin DLL": it expects Wine's rules for TEB.ExceptionList
};

/// Thread-safe. Nothing is allocated, and O(log n) are looked at, when something is looked up.
class FunctionTables {
 public:
  // -- modules; who changes them holds the loader lock
  /// Makes room for that many more, so that add_module() cannot fail. May throw bad_alloc.
  void reserve_modules(std::size_t count);
  void add_module(const Module& module) noexcept;
  void remove_module(std::uint64_t base) noexcept;
  [[nodiscard]] std::optional<Module> module_at(std::uint64_t address) const noexcept;

  // -- what guests add; each is known by a key that the guest chose or was given
  /// RtlAddFunctionTable, RtlAddGrowableFunctionTable: rows in any order. May throw bad_alloc.
  void add_rows(const void* key, std::span<abi::RUNTIME_FUNCTION> rows, std::uint64_t base,
                std::uint64_t begin, std::uint64_t end);
  /// RtlGrowFunctionTable: the table, whose rows are sorted, has that many now. False if there is no such
  /// table.
  bool grow(const void* key, std::size_t rows) noexcept;
  /// RtlInstallFunctionTableCallback: `callback` is a guest function. May throw bad_alloc.
  void add_callback(const void* key, void* callback, void* context, std::uint64_t base, std::uint64_t size);
  /// RtlDeleteFunctionTable. False if there is no such table.
  bool remove(const void* key) noexcept;

  /// What to ask for the row of an address, if a guest's callback knows it.
  struct Callback {
    void* function = nullptr;  ///< RUNTIME_FUNCTION* (DWORD64 pc, PVOID context)
    void* context = nullptr;
    std::uint64_t base = 0;
  };
  /// The row of the function that `pc` is in. If `callback` is set afterwards, it is to be asked instead.
  [[nodiscard]] Found find(std::uint64_t pc, Callback& callback) const noexcept;

  /// Forgets all modules and tables: the guest has ended.
  void clear() noexcept;

 private:
  struct Dynamic {
    const void* key = nullptr;
    std::uint64_t begin = 0, end = 0;  ///< addresses that it is for
    std::uint64_t furthest = 0;  ///< greatest `end` of this and all before: where a search backwards stops
    std::uint64_t base = 0;
    std::span<abi::RUNTIME_FUNCTION> rows;
    bool sorted = true;
    void* callback = nullptr;  ///< instead of rows
    void* context = nullptr;
  };
  void insert(const Dynamic& table);
  void set_furthest() noexcept;
  [[nodiscard]] const Module* remembered(std::uint64_t pc) const noexcept;

  /// Counts changes, of any FunctionTables, so that what threads remember of them is known to be old.
  static constinit std::atomic<std::uint64_t> changes_;
  mutable os::RwLock lock_;
  std::vector<Module> modules_;   ///< by base; guarded by lock_
  std::vector<Dynamic> dynamic_;  ///< by begin; guarded by lock_
};

/// The one of the guest process.
[[nodiscard]] FunctionTables& function_tables();

}  // namespace bobbin::unwind
