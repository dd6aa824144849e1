// Kernel objects as guests know them: reference-counted things behind handles, some of which can be waited
// for.
//
//   Object      anything a HANDLE can name (file, event, thread, ...)
//   Waitable    an Object with a signalled state and a list of waiters
//   Waiter      one thread while it waits; a thread has exactly one
//
// All signalled states are guarded by one lock, the dispatcher lock. A wait on many objects is then atomic,
// and a wait graph can be read consistently. It is held for a few instructions, never while sleeping.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <type_traits>
#include <utility>

#include "os/os.hpp"

namespace bobbin::sync {

class HandleTable;
class Mutex;
class Names;
class Waitable;
struct LockKind;
struct Wait;
struct WaitGraph;

enum class Kind : std::uint8_t {
  event,
  mutex,
  semaphore,
  timer,
  thread,
  process,
  child_thread,
  file,
  pipe,
  console,
  directory_search,
  mapping,
  completion_port,
  snapshot,
};

/// Intrusively reference-counted base of everything that a handle can name. Starts with one reference.
class Object {
 public:
  explicit Object(Kind kind) : kind_(kind) {}
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  [[nodiscard]] Kind kind() const { return kind_; }

  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release_reference() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  /// For those who know of the object without owning it: false if its last reference is gone already.
  [[nodiscard]] bool try_add_reference() noexcept {
    std::uint32_t count = references_.load(std::memory_order_relaxed);
    while (count != 0 && !references_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) {
    }
    return count != 0;
  }
  [[nodiscard]] std::uint32_t reference_count() const { return references_.load(std::memory_order_relaxed); }

  /// Called when the last handle to the object has been closed, before that one's reference is dropped.
  virtual void on_last_handle_closed() noexcept {}

  /// The object as something to wait for, or nullptr.
  [[nodiscard]] virtual Waitable* as_waitable() noexcept { return nullptr; }

 protected:
  virtual ~Object();

 private:
  friend class HandleTable;
  friend class Names;
  std::uint32_t handles_ = 0;  ///< that name it; guarded by HandleTable
  Names* names_ = nullptr;     ///< guarded by Names: where to take the name back when the object goes
  std::atomic<std::uint32_t> references_{1};
  const Kind kind_;
};

/// An owning pointer to an Object. `Ref<T>::adopt(new T)` takes over the first reference.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) object_->add_reference();
  }
  [[nodiscard]] static Ref adopt(T* object) {
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
    requires std::is_convertible_v<U*, T*>
  Ref(Ref<U> other) noexcept : object_(other.leak()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->release_reference();
  }

  [[nodiscard]] T* get() const { return object_; }
  [[nodiscard]] T* operator->() const { return object_; }
  [[nodiscard]] T& operator*() const { return *object_; }
  [[nodiscard]] explicit operator bool() const { return object_ != nullptr; }
  /// Gives the reference away without dropping it.
  [[nodiscard]] T* leak() { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

/// An asynchronous procedure call: a function of the guest's that a thread runs when it waits alertably.
struct Apc {
  void* routine = nullptr;
  std::uint64_t arguments[4] = {};
};

struct Waiter;

/// Who does something on behalf of threads, and must know when one ends.
class WaiterUser {
 public:
  virtual ~WaiterUser() = default;
  /// `waiter` is about to go, or has been stopped for good.
  virtual void waiter_ended(const Waiter& waiter) noexcept = 0;
};

/// One thread as the wait machinery sees it. Owned by thread::Thread (or a test); lives as long as the
/// thread.
struct Waiter {
  /// Bits of `wake`.
  static constexpr std::uint32_t kLook = 1;  ///< something changed: take the lock and look
  static constexpr std::uint32_t kDone = 2;  ///< the wait is complete, its outcome written

  std::uint32_t thread_id = 0;
  /// The futex that the thread sleeps on: not 0 when there is something for it to look at. Every wait of ours
  /// sleeps here (also those on guest locks), so one word is enough to stop a thread in any of them.
  std::atomic<std::uint32_t> wake{0};
  /// Set (and `wake` raised) to end an interruptible wait: the thread is being stopped. By sync::interrupt().
  std::atomic<bool> interrupted{false};
  /// Head of the chain of mutexes that the thread owns; guarded by the dispatcher lock.
  Mutex* owned_mutexes = nullptr;
  /// The wait on objects that the thread is in, or nullptr; guarded by the dispatcher lock. Together with
  /// Waitable::owner() this is the graph of who waits for whom.
  Wait* waiting = nullptr;
  /// The guest's lock or word that the thread is parked at (parking.hpp), or nullptr; written under that
  /// address' bucket lock. And how its owner is told, or nullptr.
  std::atomic<const void*> parked_at{nullptr};
  std::atomic<const LockKind*> parked_for{nullptr};
  /// Counts beginnings and ends of waits of either kind: odd while in one.
  std::atomic<std::uint32_t> waits{0};

  /// What others (or itself) have asked it to call; guarded by the dispatcher lock.
  std::deque<Apc> apcs;

  /// To be told of the thread's end, or nullptr.
  std::atomic<WaiterUser*> used_by{nullptr};

  // For deadlock.hpp; guarded by the dispatcher lock.
  std::uint32_t reported = 0;  ///< the `waits` of the last wait that was part of a deadlock
  Waiter* next_known = nullptr;
  Waiter* previous_known = nullptr;

  /// Whether another thread has completed the wait. Sleeps until there is something to look at or `until`.
  [[nodiscard]] bool sleep(os::Deadline until) noexcept;
  /// Called by the thread itself, under the lock that guards the wait: there is nothing to look at so far.
  void settle() noexcept {
    wake.store(0);
    if (interrupted.load()) wake.fetch_or(kLook);  // in this order, or an interruption in between is lost
  }
};

/// An Object that can be waited for. The virtual functions are called under the dispatcher lock.
class Waitable : public Object {
 public:
  using Object::Object;
  Waitable* as_waitable() noexcept final { return this; }

 protected:
  friend class DispatcherLock;
  friend struct Wait;  ///< the wait machinery in dispatcher.cpp
  friend struct WaitGraph;
  struct WaitBlock;

  /// Whether a wait by `who` would be satisfied now.
  [[nodiscard]] virtual bool signalled(const Waiter& who) const = 0;
  /// What a satisfied wait changes (auto-reset, count, ownership). True if what was acquired had been
  /// abandoned.
  virtual bool consume(Waiter& /*who*/) { return false; }
  /// When the object will become signalled by itself (a timer); waiters then look again at that time.
  [[nodiscard]] virtual os::Deadline due() const { return std::nullopt; }
  /// That time has come: becomes signalled, and due() moves on.
  virtual void come_due() {}
  /// The thread that alone can signal the object, if there is one.
  [[nodiscard]] virtual Waiter* owner() const { return nullptr; }
  /// Whether something that is no thread of the guest's may signal it.
  [[nodiscard]] virtual bool expected() const { return false; }

  ~Waitable() override = default;

 private:
  WaitBlock* first_waiter_ = nullptr;  ///< guarded by the dispatcher lock; first come, first served
  WaitBlock* last_waiter_ = nullptr;   ///< guarded by the dispatcher lock
};

}  // namespace bobbin::sync
