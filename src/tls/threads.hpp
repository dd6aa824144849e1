// All thread records of the process: a pool to make them from, and a list to walk.
//
// A record is listed from take() to give_back(), attached or not: explicit slots of a thread that has not
// started yet, or is past its last callback, can still be written.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "tls/record.hpp"
#include "tls/reserved_array.hpp"

namespace bobbin::tls {

/// A pool that keeps its memory until it dies, and gives records back zeroed without touching pages that the
/// thread has not touched.
class Threads {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Threads>> create();
  ~Threads();

  /// A record whose TEB, blocks and vector are zero.
  [[nodiscard]] Result<ThreadRecord*> take();
  void give_back(ThreadRecord& record) noexcept;

  /// Guards the list and the pool, and with them whatever must not miss a thread that is being born: the
  /// bitmaps of explicit slots, each TEB's TlsExpansionSlots. Inner to the modules lock.
  [[nodiscard]] os::Mutex& lock() { return lock_; }

  /// The listed records; under lock().
  [[nodiscard]] std::span<ThreadRecord* const> listed() const { return {list_.data(), count_}; }

  /// Calls `visit` for every record that was ever made, listed or pooled; under lock(), or when nobody else
  /// uses the pool any more.
  template <class Visit>
  void for_each_made(Visit visit) const {
    for (std::size_t i = 0; i < made_; ++i) visit(*made(i));
  }

  [[nodiscard]] std::optional<std::string> broken_invariant();

 private:
  Threads() = default;
  [[nodiscard]] ThreadRecord* made(std::size_t i) const;
  Result<ThreadRecord*> make();

  os::Mutex lock_;
  ReservedArray<ThreadRecord*> list_;  ///< guarded by lock_
  std::size_t count_ = 0;              ///< length of list_; guarded by lock_
  ReservedArray<std::byte*> slabs_;    ///< guarded by lock_
  std::size_t made_ = 0;               ///< records ever taken from slabs; guarded by lock_
  ThreadRecord* free_ = nullptr;       ///< last given back first; guarded by lock_
};

}  // namespace bobbin::tls
