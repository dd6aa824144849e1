// HANDLEs: small numbers, multiples of four, that name kernel objects for the guest.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "sync/names.hpp"
#include "sync/object.hpp"

namespace bobbin::sync {

/// A guest's HANDLE value. Pseudo handles (-1 current process, -2 current thread) never reach the table: the
/// natives that accept them translate them first.
using Handle = std::uintptr_t;

/// The process's one table of handles. Thread-safe. Lowest free value is reused, as guests observe on
/// Windows.
class HandleTable {
 public:
  /// Names `object` by a new handle, which shares ownership of it. Fails only when memory runs out.
  [[nodiscard]] Result<Handle> insert(Ref<Object> object, bool inheritable = false);

  /// The same with a value that a parent process has chosen: `handle` is a multiple of four and not in use.
  [[nodiscard]] Result<void> insert_at(Handle handle, Ref<Object> object, bool inheritable);

  /// The object behind a handle, or STATUS_INVALID_HANDLE.
  [[nodiscard]] Result<Ref<Object>> get(Handle handle) const;

  /// The same, if it is of the asked kind; STATUS_OBJECT_TYPE_MISMATCH otherwise.
  template <class T>
  [[nodiscard]] Result<Ref<T>> get(Handle handle, Kind kind) const {
    auto object = get(handle);
    if (!object) return propagate(object);
    if ((*object)->kind() != kind) return fail(wrong_kind());
    return Ref<T>::adopt(static_cast<T*>(object->leak()));
  }

  /// Forgets the handle; the object lives on while others hold it. STATUS_HANDLE_NOT_CLOSABLE if protected.
  [[nodiscard]] Result<void> close(Handle handle);

  [[nodiscard]] Result<bool> inheritable(Handle handle) const;
  [[nodiscard]] Result<void> set_inheritable(Handle handle, bool inheritable);
  /// What a child would inherit. bad_alloc may be thrown.
  [[nodiscard]] std::vector<std::pair<Handle, Ref<Object>>> all_inheritable() const;

  /// The lowest handle that names the object, or 0. Looks at all of them.
  [[nodiscard]] Handle handle_of(const void* object) const;

  /// Whether close() refuses.
  [[nodiscard]] Result<bool> protected_from_close(Handle handle) const;
  [[nodiscard]] Result<void> protect_from_close(Handle handle, bool protect);

  /// The names of the objects that have one.
  [[nodiscard]] Names& names() { return names_; }

  /// How many handles are open (for leak tests).
  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    Ref<Object> object;
    bool inheritable = false;
    bool kept = false;  ///< protected from close
  };
  [[nodiscard]] static Error wrong_kind();
  [[nodiscard]] Entry* find(Handle handle);
  static void put(Entry& entry, Ref<Object> object, bool inheritable) noexcept;

  Names names_;
  mutable os::Mutex mutex_;
  std::vector<Entry> entries_;     ///< guarded by mutex_; entry i is handle 4 * (i + 1)
  std::vector<std::size_t> free_;  ///< guarded by mutex_; min-heap of unused indices
};

}  // namespace bobbin::sync
