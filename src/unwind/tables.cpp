#include "unwind/tables.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <shared_mutex>

#include "arch/x86_64/exception.hpp"

namespace bobbin::unwind {

using abi::RUNTIME_FUNCTION;

namespace {

/// The row among `rows` that covers `rva`; nullptr if none does.
RUNTIME_FUNCTION* find_row(std::span<RUNTIME_FUNCTION> rows, bool sorted, std::uint32_t rva) noexcept {
  if (sorted) return arch::bobbin_guest_find_row(rows.data(), rows.size(), rva);
  for (RUNTIME_FUNCTION& row : rows) {
    RUNTIME_FUNCTION copy;
    if (!arch::bobbin_guest_copy(&copy, &row, sizeof copy)) return nullptr;
    if (rva >= copy.BeginAddress && rva < copy.EndAddress) return &row;
  }
  return nullptr;
}

}  // namespace

void FunctionTables::reserve_modules(std::size_t count) {
  const std::scoped_lock changing(lock_);
  modules_.reserve(modules_.size() + count);
}

void FunctionTables::add_module(const Module& module) noexcept {
  const std::scoped_lock changing(lock_);
  ++changes_;
  modules_.insert(std::ranges::upper_bound(modules_, module.base, {}, &Module::base), module);
}

void FunctionTables::remove_module(std::uint64_t base) noexcept {
  const std::scoped_lock changing(lock_);
  ++changes_;
  std::erase_if(modules_, [=](const Module& module) { return module.base == base; });
}

namespace {

/// Of modules sorted by base the one that holds the address.
const Module* holder(const std::vector<Module>& modules, std::uint64_t address) noexcept {
  const auto after = std::ranges::upper_bound(modules, address, {}, &Module::base);
  if (after == modules.begin()) return nullptr;
  const Module& module = *(after - 1);
  return address - module.base < module.size ? &module : nullptr;
}

/// The modules that a thread's last lookups were in: throwing walks to and fro in two or three of them.
struct Remembered {
  std::uint64_t changes = 0;
  std::array<Module, 4> modules;
  std::size_t next = 0;
};
constinit thread_local Remembered t_remembered{};

}  // namespace

constinit std::atomic<std::uint64_t> FunctionTables::changes_{1};

const Module* FunctionTables::remembered(std::uint64_t pc) const noexcept {
  Remembered& last = t_remembered;
  const std::uint64_t changes = changes_.load(std::memory_order_acquire);
  if (last.changes != changes) {
    last = {};
    last.changes = changes;
  }
  for (const Module& module : last.modules) {
    if (pc - module.base < module.size) return &module;
  }
  const std::shared_lock looking(lock_);
  const Module* const module = holder(modules_, pc);
  if (module == nullptr || changes_.load(std::memory_order_relaxed) != changes) return nullptr;
  Module& place = last.modules[last.next++ % last.modules.size()];
  place = *module;
  return &place;
}

std::optional<Module> FunctionTables::module_at(std::uint64_t address) const noexcept {
  const std::shared_lock looking(lock_);
  const Module* const module = holder(modules_, address);
  return module != nullptr ? std::optional(*module) : std::nullopt;
}

void FunctionTables::insert(const Dynamic& table) {
  const std::scoped_lock changing(lock_);
  dynamic_.insert(std::ranges::upper_bound(dynamic_, table.begin, {}, &Dynamic::begin), table);
  set_furthest();
}

void FunctionTables::set_furthest() noexcept {
  std::uint64_t furthest = 0;
  for (Dynamic& table : dynamic_) table.furthest = furthest = std::max(furthest, table.end);
}

void FunctionTables::add_rows(const void* key, std::span<RUNTIME_FUNCTION> rows, std::uint64_t base,
                              std::uint64_t begin, std::uint64_t end) {
  insert({.key = key,
          .begin = begin,
          .end = end,
          .base = base,
          .rows = rows,
          .sorted = std::ranges::is_sorted(rows, {}, &RUNTIME_FUNCTION::BeginAddress)});
}

bool FunctionTables::grow(const void* key, std::size_t rows) noexcept {
  const std::scoped_lock changing(lock_);
  const auto table = std::ranges::find(dynamic_, key, &Dynamic::key);
  if (table == dynamic_.end()) return false;
  table->rows = {table->rows.data(), rows};
  return true;
}

void FunctionTables::add_callback(const void* key, void* callback, void* context, std::uint64_t base,
                                  std::uint64_t size) {
  insert({.key = key,
          .begin = base,
          .end = base + size,
          .base = base,
          .rows = {},
          .callback = callback,
          .context = context});
}

bool FunctionTables::remove(const void* key) noexcept {
  const std::scoped_lock changing(lock_);
  const auto table = std::ranges::find(dynamic_, key, &Dynamic::key);
  if (table == dynamic_.end()) return false;
  dynamic_.erase(table);
  set_furthest();
  return true;
}

Found FunctionTables::find(std::uint64_t pc, Callback& callback) const noexcept {
  if (const Module* const module = remembered(pc); module != nullptr)
    return {find_row(module->rows, true, static_cast<std::uint32_t>(pc - module->base)), module->base};
  const std::shared_lock looking(lock_);
  if (const Module* const module = holder(modules_, pc); module != nullptr)
    return {find_row(module->rows, true, static_cast<std::uint32_t>(pc - module->base)), module->base};
  // Tables of a guest may overlap: the one that begins last comes first.
  auto table = std::ranges::upper_bound(dynamic_, pc, {}, &Dynamic::begin);
  while (table != dynamic_.begin()) {
    --table;
    if (table->furthest <= pc) break;
    if (pc >= table->end) continue;
    if (table->callback != nullptr) {
      callback = {table->callback, table->context, table->base};
      return {nullptr, table->base};
    }
    const auto rva = static_cast<std::uint32_t>(pc - table->base);
    if (RUNTIME_FUNCTION* const row = find_row(table->rows, table->sorted, rva); row != nullptr)
      return {row, table->base};
  }
  return {};
}

void FunctionTables::clear() noexcept {
  const std::scoped_lock changing(lock_);
  ++changes_;
  modules_.clear();
  dynamic_.clear();
}

FunctionTables& function_tables() {
  static FunctionTables tables;
  return tables;
}

}  // namespace bobbin::unwind
