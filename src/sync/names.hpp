// Names of kernel objects: events, mutexes, semaphores, timers and file mappings share one set of names
// within the process. (On Windows it is the session; other processes are not reached here.)
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "sync/object.hpp"

namespace bobbin::sync {

/// Names of live objects, which it does not own: a name goes with the last reference to its object.
/// Thread-safe. Outlives its objects or lets go of them.
class Names {
 public:
  struct Entry {
    Ref<Object> object;
    bool existed;  ///< another call had given the name already; `object` is the one of then
  };

  Names() = default;
  ~Names();
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;

  /// Gives `fresh` the name, or finds who has it. STATUS_OBJECT_TYPE_MISMATCH if that is of another kind;
  /// STATUS_OBJECT_PATH_NOT_FOUND, STATUS_NAME_TOO_LONG for names that cannot be. `Local\` in front is no
  /// part of a name, `Global\` is.
  [[nodiscard]] Result<Entry> claim(std::u16string_view name, Ref<Object> fresh);

  /// The object of that name and kind, or STATUS_OBJECT_NAME_NOT_FOUND.
  [[nodiscard]] Result<Ref<Object>> find(std::u16string_view name, Kind kind);

 private:
  friend class Object;
  void forget(Object& object) noexcept;
  [[nodiscard]] Ref<Object> alive(std::u16string_view key);

  os::Mutex mutex_;
  std::map<std::u16string, Object*, std::less<>> objects_;  ///< guarded by mutex_
};

}  // namespace bobbin::sync
