// Destructors at thread exit, for programs and DLLs that are compiled FOR Windows. C++17, this one file, no
// other header; gcc and clang for mingw, clang for MSVC. It is part of Bobbin and runs on Windows as well.
//
//     bobbin::guest::at_thread_exit([](void* file) { fclose(static_cast<FILE*>(file)); }, file);
//     static bobbin::guest::thread_local_ptr<Cache> cache;   // a Cache for each thread that asks for one
//     if (!cache) cache.reset(new Cache);
//
// Why not `thread_local`
// ----------------------
//
// The destructors of thread_local objects run in a TLS callback (or DllMain), thus under the loader lock. One
// that waits for another thread there waits for ever: that thread needs the lock for its own THREAD_DETACH.
// Here they run in an FLS callback, before the loader lock is taken:
//
//     thread exit:   FLS callbacks     | loader lock: TLS callbacks, DllMain     | handle signalled
//                    ^ these           | ^ thread_local's
//     process exit:  loader lock, other threads gone: FLS callbacks, then DLLs
//
// With BOBBIN_THREAD_EXIT_BY_TLS_CALLBACK defined (in all files of a module) they run the older way, in a TLS
// callback in .CRT$XLB, so that the two can be compared.
//
// What is promised
// ----------------
//
// - Destructors run on their thread, the newest first, before its handle is signalled; at process exit those
// of the
//   exiting thread (in a program after the destructors of its statics, which `exit` runs), under the loader
//   lock.
// - A destructor may register more. They run in the next pass; after kThreadExitPasses passes what is left is
// leaked.
//   What is registered later (in a THREAD_DETACH) is leaked too. One that ends its thread skips itself only.
// - A module has one FLS index and one TLS index, both made on first use.
// - A DLL that is unloaded runs the destructors of the thread that unloads it, then frees both. Other
// threads' are
//   leaked: their objects may be in use, and nobody else may destroy them.
// - A program never frees its index: FlsFree waits for callbacks under way on other threads, and one of them
// may wait
//   for what the exiting thread holds. Nor does a DLL at process exit, where such a callback never ends.
// - Fibers. What is registered belongs to the thread. While the thread is a fiber its end is not told from
// the fiber's:
//   so what is registered then waits until something is registered while it is none, and nothing runs if it
//   ends as a fiber (or on another fiber than it registered on). DeleteFiber destroys nothing, from whichever
//   thread. In doubt objects are leaked, never destroyed early.
// - Like TlsGetValue, these functions may set the last error to 0.
#pragma once

#ifndef _WIN32
#error "bobbin/thread_exit.hpp is for programs that are compiled for Windows"
#endif

// The functions of kernel32 that are used, as <windows.h> declares them: it may be included before, after or
// never.
struct HINSTANCE__;
extern "C" {
__declspec(dllimport) unsigned long __stdcall FlsAlloc(void(__stdcall*)(void*));
__declspec(dllimport) int __stdcall FlsFree(unsigned long);
__declspec(dllimport) void* __stdcall FlsGetValue(unsigned long);
__declspec(dllimport) int __stdcall FlsSetValue(unsigned long, void*);
__declspec(dllimport) int __stdcall IsThreadAFiber(void);
__declspec(dllimport) unsigned long __stdcall TlsAlloc(void);
__declspec(dllimport) int __stdcall TlsFree(unsigned long);
__declspec(dllimport) void* __stdcall TlsGetValue(unsigned long);
__declspec(dllimport) int __stdcall TlsSetValue(unsigned long, void*);
__declspec(dllimport) void* __stdcall GetProcessHeap(void);
__declspec(dllimport) void* __stdcall HeapAlloc(void*, unsigned long, decltype(sizeof 0));
__declspec(dllimport) int __stdcall HeapFree(void*, unsigned long, void*);
__declspec(dllimport) int __stdcall GetModuleHandleExW(unsigned long, const wchar_t*, HINSTANCE__**);
__declspec(dllimport) HINSTANCE__* __stdcall GetModuleHandleW(const wchar_t*);
#ifdef _WIN64
__declspec(dllimport) long long(__stdcall* __stdcall GetProcAddress(HINSTANCE__*, const char*))();
#else
__declspec(dllimport) int(__stdcall* __stdcall GetProcAddress(HINSTANCE__*, const char*))();
#endif
__declspec(dllimport) void __stdcall Sleep(unsigned long);
int __cdecl atexit(void(__cdecl*)(void));
#if defined(_MSC_VER) && !defined(__clang__)
long _InterlockedExchangeAdd(volatile long*, long);
long _InterlockedExchange(volatile long*, long);
long _InterlockedCompareExchange(volatile long*, long, long);
#endif
}

namespace bobbin::guest {

/// How many passes there are: one over what the thread registered, the others over what destructors did.
inline constexpr int kThreadExitPasses = 5;

namespace detail {

// All are sequentially consistent. <atomic> would be another header, and is not there for every target.
#if defined(__clang__) || defined(__GNUC__)
inline long load(long& word) noexcept { return __atomic_load_n(&word, __ATOMIC_SEQ_CST); }
inline long add(long& word, long summand) noexcept {  // says what it was before
  return __atomic_fetch_add(&word, summand, __ATOMIC_SEQ_CST);
}
inline long exchange(long& word, long value) noexcept {
  return __atomic_exchange_n(&word, value, __ATOMIC_SEQ_CST);
}
inline long compare_exchange(long& word, long value, long expected) noexcept {
  __atomic_compare_exchange_n(&word, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}
#else
inline long load(long& word) noexcept { return _InterlockedExchangeAdd(&word, 0); }
inline long add(long& word, long summand) noexcept { return _InterlockedExchangeAdd(&word, summand); }
inline long exchange(long& word, long value) noexcept { return _InterlockedExchange(&word, value); }
inline long compare_exchange(long& word, long value, long expected) noexcept {
  return _InterlockedCompareExchange(&word, value, expected);
}
#endif

struct Node {
  void (*function)(void*);
  void* object;
  Node* older;
};

/// What one thread has registered with this module, in its slot of the TLS index.
struct Thread {
  struct Value {
    void* object;
    bool registered;  ///< its destructor is on the list
  };
  Node* newest;   ///< of the next pass
  Node* due;      ///< of this pass
  int passes;     ///< begun
  bool armed;     ///< the FLS callback will come
  Value* values;  ///< of thread_local_ptr, by number
  long capacity;
};

inline constexpr long kClosed = -1;    ///< the module is being unloaded
inline constexpr long kNoIndex = -1;   ///< what FlsAlloc and TlsAlloc say when there is none
inline long g_fls_index = 0;           ///< 0: none yet (indices of FLS begin with 1)
inline long g_tls_index_plus_one = 0;  ///< 0: none yet
inline long g_arming = 0;              ///< threads that are about to use g_fls_index
inline long g_numbers = 0;             ///< how many thread_local_ptr have a number

inline void* allocate(decltype(sizeof 0) size) noexcept {
  return HeapAlloc(GetProcessHeap(), 8 /* HEAP_ZERO_MEMORY */, size);
}
inline void release(void* block) noexcept { HeapFree(GetProcessHeap(), 0, block); }

inline long tls_index_plus_one() noexcept {
  const long there = load(g_tls_index_plus_one);
  if (there != 0) return there;
  const long made = static_cast<long>(TlsAlloc());
  if (made == kNoIndex) return 0;
  const long winner = compare_exchange(g_tls_index_plus_one, made + 1, 0);
  if (winner == 0) return made + 1;
  TlsFree(static_cast<unsigned long>(made));
  return winner;
}

/// The calling thread's, or null.
inline Thread* find_thread() noexcept {
  const long index = load(g_tls_index_plus_one);
  if (index == 0 || index == kClosed) return nullptr;
  return static_cast<Thread*>(TlsGetValue(static_cast<unsigned long>(index - 1)));
}

/// The calling thread's, or null if there is no memory or no index, or the module is being unloaded.
inline Thread* make_thread() noexcept {
  if (Thread* thread = find_thread()) return thread;
  const long index = tls_index_plus_one();
  if (index == 0 || index == kClosed) return nullptr;
  auto* const thread = static_cast<Thread*>(allocate(sizeof(Thread)));
  if (thread == nullptr) return nullptr;
  if (TlsSetValue(static_cast<unsigned long>(index - 1), thread)) return thread;
  release(thread);
  return nullptr;
}

/// Runs what the thread has registered. A function that ends the thread comes back here by another callback:
/// then the rest is run, and the first call never goes on.
inline void run_down(Thread* thread) noexcept {
  for (;;) {
    while (Node* const node = thread->due) {
      const Node copy = *node;
      thread->due = node->older;
      release(node);
      copy.function(copy.object);
    }
    thread->due = thread->newest;
    thread->newest = nullptr;
    if (thread->due == nullptr || thread->passes == kThreadExitPasses) break;
    ++thread->passes;
  }
  while (Node* const node = thread->due) {
    thread->due = node->older;
    release(node);
  }
  const long index = load(g_tls_index_plus_one);
  if (index != kClosed) TlsSetValue(static_cast<unsigned long>(index - 1), nullptr);
  if (thread->values != nullptr) release(thread->values);
  release(thread);
}

inline void close_tls_index() noexcept {
  const long index = exchange(g_tls_index_plus_one, kClosed);
  if (index != 0 && index != kClosed) TlsFree(static_cast<unsigned long>(index - 1));
}

#ifndef BOBBIN_THREAD_EXIT_BY_TLS_CALLBACK

/// `value` is the Thread that was armed. It is run down if it is the calling thread's own and the block that
/// goes is the one that it stands on; else somebody deletes a fiber or frees the index, and that thread lives
/// on.
inline void __stdcall on_fls_callback(void* value) noexcept {
  if (IsThreadAFiber()) return;
  Thread* const thread = find_thread();
  if (thread == nullptr || thread != value) return;
  if (FlsGetValue(static_cast<unsigned long>(load(g_fls_index))) != value) return;
  run_down(thread);
}

inline bool process_is_ending() noexcept {
  using Asked = unsigned char(__stdcall*)();
  const auto ask = reinterpret_cast<Asked>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "RtlDllShutdownInProgress")));
  return ask != nullptr && ask() != 0;
}

/// In a DLL, when it is unloaded or the process ends.
inline void __cdecl on_module_exit() noexcept {
  if (process_is_ending()) return;
  if (Thread* const thread = find_thread(); thread != nullptr && !IsThreadAFiber()) run_down(thread);
  const long index = exchange(g_fls_index, kClosed);
  while (load(g_arming) != 0) Sleep(0);  // from now on nobody sets a value of what is no longer ours
  if (index != 0 && index != kClosed) FlsFree(static_cast<unsigned long>(index));
  close_tls_index();
}

inline bool is_in_dll() noexcept {
  HINSTANCE__* module = nullptr;  // by address, and without taking a reference
  GetModuleHandleExW(4 | 2, reinterpret_cast<const wchar_t*>(&on_module_exit), &module);
  return module != GetModuleHandleW(nullptr);
}

/// 0 if there is none to be had.
inline long fls_index() noexcept {
  const long there = load(g_fls_index);
  if (there != 0) return there;
  const long made = static_cast<long>(FlsAlloc(&on_fls_callback));
  if (made == kNoIndex) return 0;
  const long winner = compare_exchange(g_fls_index, made, 0);
  if (winner != 0) {
    FlsFree(static_cast<unsigned long>(made));
    return winner;
  }
  if (!is_in_dll() || atexit(&on_module_exit) == 0) return made;
  exchange(g_fls_index, kClosed);  // better no destructors than a callback into an unloaded DLL
  FlsFree(static_cast<unsigned long>(made));
  return kClosed;
}

/// Sees to it that the end of the thread is told of. False if that cannot be.
inline bool arm(Thread& thread) noexcept {
  if (thread.armed || IsThreadAFiber()) return true;
  add(g_arming, 1);
  const long index = fls_index();
  thread.armed =
      index != 0 && index != kClosed && FlsSetValue(static_cast<unsigned long>(index), &thread) != 0;
  add(g_arming, -1);
  return thread.armed;
}

#else

inline void __stdcall on_tls_callback(void*, unsigned long reason, void*) noexcept {
  constexpr unsigned long kProcessDetach = 0, kThreadDetach = 3;
  if (reason != kProcessDetach && reason != kThreadDetach) return;
  if (Thread* const thread = find_thread()) run_down(thread);
  if (reason == kProcessDetach) close_tls_index();
}

inline bool arm(Thread&) noexcept { return true; }

#endif

}  // namespace detail

/// Calls function(object) when the calling thread ends. False if that cannot be: there is no memory, no index
/// is left, or the DLL is being unloaded; then nothing has changed.
inline bool at_thread_exit(void (*function)(void*), void* object) noexcept {
  detail::Thread* const thread = detail::make_thread();
  if (thread == nullptr || !detail::arm(*thread)) return false;
  auto* const node = static_cast<detail::Node*>(detail::allocate(sizeof(detail::Node)));
  if (node == nullptr) return false;
  *node = {function, object, thread->newest};
  thread->newest = node;
  return true;
}

/// A pointer of each thread's own, null at first, whose object is deleted when the thread ends, in the order
/// of at_thread_exit by when it was first set. Is to have static storage duration; costs nothing until it is
/// used.
template <class T>
class thread_local_ptr {
 public:
  constexpr thread_local_ptr() noexcept = default;
  thread_local_ptr(const thread_local_ptr&) = delete;
  thread_local_ptr& operator=(const thread_local_ptr&) = delete;

  [[nodiscard]] T* get() const noexcept {
    const detail::Thread::Value* const value = find();
    return value != nullptr ? static_cast<T*>(value->object) : nullptr;
  }
  T& operator*() const noexcept { return *get(); }
  T* operator->() const noexcept { return get(); }
  explicit operator bool() const noexcept { return get() != nullptr; }

  /// Deletes what is there, and owns `object` from now on. False as at_thread_exit; then nothing has changed,
  /// and `object` is still the caller's.
  bool reset(T* object = nullptr) noexcept {
    detail::Thread::Value* value = object != nullptr ? make() : find();
    if (value == nullptr) return object == nullptr;
    if (object != nullptr && !value->registered) {
      if (!at_thread_exit(&destroy, this)) return false;
      value->registered = true;
    }
    T* const old = static_cast<T*>(value->object);
    value->object = object;
    delete old;  // may come back here, and move the values
    return true;
  }

  /// What is there becomes the caller's.
  T* release() noexcept {
    detail::Thread::Value* const value = find();
    if (value == nullptr) return nullptr;
    T* const object = static_cast<T*>(value->object);
    value->object = nullptr;
    return object;
  }

 private:
  static void destroy(void* self) noexcept {
    detail::Thread::Value& value = *static_cast<thread_local_ptr*>(self)->find();
    value.registered = false;
    T* const object = static_cast<T*>(value.object);
    value.object = nullptr;
    delete object;
  }

  detail::Thread::Value* find() const noexcept {
    detail::Thread* const thread = detail::find_thread();
    const long number = detail::load(number_);
    return thread != nullptr && number != 0 && number <= thread->capacity ? &thread->values[number - 1]
                                                                          : nullptr;
  }

  detail::Thread::Value* make() noexcept {
    detail::Thread* const thread = detail::make_thread();
    if (thread == nullptr) return nullptr;
    if (detail::load(number_) == 0) {  // who loses leaves a number unused
      detail::compare_exchange(number_, detail::add(detail::g_numbers, 1) + 1, 0);
    }
    const long number = detail::load(number_);
    if (number > thread->capacity) {
      const long capacity = number + 7;
      auto* const values = static_cast<detail::Thread::Value*>(
          detail::allocate(static_cast<decltype(sizeof 0)>(capacity) * sizeof *thread->values));
      if (values == nullptr) return nullptr;
      for (long i = 0; i < thread->capacity; ++i) values[i] = thread->values[i];
      if (thread->values != nullptr) detail::release(thread->values);
      thread->values = values;
      thread->capacity = capacity;
    }
    return &thread->values[number - 1];
  }

  mutable long number_ = 0;  ///< of this module's, from 1; 0: not used yet
};

}  // namespace bobbin::guest

#ifdef BOBBIN_THREAD_EXIT_BY_TLS_CALLBACK
// One pointer in the array of TLS callbacks, kept though nobody refers to it.
#ifdef _MSC_VER
#pragma section(".CRT$XLB", long, read)
extern "C" __declspec(allocate(".CRT$XLB"))
__declspec(selectany) void(__stdcall* const bobbin_thread_exit_callback)(void*, unsigned long, void*) =
    &bobbin::guest::detail::on_tls_callback;
#ifdef _WIN64
#pragma comment(linker, "/INCLUDE:_tls_used")
#pragma comment(linker, "/INCLUDE:bobbin_thread_exit_callback")
#else
#pragma comment(linker, "/INCLUDE:__tls_used")
#pragma comment(linker, "/INCLUDE:_bobbin_thread_exit_callback")
#endif
#else
extern "C"
    __attribute__((section(".CRT$XLB"), used, selectany)) void(__stdcall* const bobbin_thread_exit_callback)(
        void*, unsigned long, void*) = &bobbin::guest::detail::on_tls_callback;
#endif
#endif
