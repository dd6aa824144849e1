// <bobbin/thread_exit.hpp>: told by name what to show. Compiled for FLS and for TLS callbacks.
#include <bobbin/thread_exit.hpp>  // before windows.h, and (below) after it: both must compile

#include <windows.h>

#include <bobbin/thread_exit.hpp>
#include <cstdio>
#include <cstring>
#include <thread>

namespace {

using bobbin::guest::at_thread_exit;
using bobbin::guest::kThreadExitPasses;
using bobbin::guest::thread_local_ptr;

void say(void* text) { std::printf("  %s goes\n", static_cast<const char*>(text)); }
void note(const char* text) {
  if (!at_thread_exit(say, const_cast<char*>(text))) std::printf("NOT REGISTERED: %s\n", text);
}
HANDLE start(LPTHREAD_START_ROUTINE routine, void* argument = nullptr) {
  return CreateThread(nullptr, 0, routine, argument, 0, nullptr);
}
DWORD join(HANDLE thread) {
  WaitForSingleObject(thread, INFINITE);
  DWORD code = 0xDEAD;
  GetExitCodeThread(thread, &code);
  CloseHandle(thread);
  return code;
}
template <class Body>
DWORD in_thread(Body body) {
  struct Run {
    static DWORD WINAPI routine(void* given) {
      (*static_cast<Body*>(given))();
      return 0;
    }
  };
  return join(start(&Run::routine, &body));
}

// ---- order, and what destructors may do
// ------------------------------------------------------------------------

int g_rounds;
void register_again(void* self) {
  ++g_rounds;
  at_thread_exit(register_again, self);
}
void register_more(void*) {
  std::printf("  one that registers more goes\n");
  note("what it registered first");
  note("what it registered then");
}

void order() {
  std::printf("the newest first:\n");
  in_thread([] {
    note("the first");
    at_thread_exit(register_more, nullptr);
    note("the last");
  });
  in_thread([] { at_thread_exit(register_again, nullptr); });
  std::printf("one that registers itself again went %d times, in %d passes\n", g_rounds, kThreadExitPasses);
}

#ifndef BOBBIN_THREAD_EXIT_BY_TLS_CALLBACK
void end_thread(void*) {
  std::printf("  one that ends its thread goes\n");
  ExitThread(5);
}
void ending() {
  std::printf("one that ends its thread does not keep the others from going:\n");
  const DWORD code = in_thread([] {
    note("the other");
    at_thread_exit(end_thread, nullptr);
  });
  std::printf("  exit code %lu\n", code);
}
#endif

// ---- thread_local_ptr
// ------------------------------------------------------------------------------------------

struct Noted {
  const char* name;
  Noted* other = nullptr;
  ~Noted();
};
thread_local_ptr<Noted> g_first, g_second;
thread_local_ptr<Noted> g_many[20];
Noted::~Noted() {
  std::printf("  %s goes%s\n", name, g_first || g_second ? ", another is there" : "");
  if (other != nullptr) g_first.reset(other);
}

void pointers() {
  std::printf("thread_local_ptr:\n");
  in_thread([] {
    g_first.reset(new Noted{"the first"});
    g_second.reset(new Noted{"the second"});
    g_second.reset(new Noted{"the second's successor"});
    in_thread([] { std::printf("  another thread's: %s\n", g_second ? "there" : "null"); });
    for (auto& pointer : g_many) pointer.reset(new Noted{"one of many"});
    for (auto& pointer : g_many) delete pointer.release();
  });
  in_thread([] { g_second.reset(new Noted{"one that sets another", new Noted{"the other"}}); });
  in_thread([] {
    g_first.reset(new Noted{"one that is given up"});
    g_first.reset();
    std::printf("  %s\n", g_first.get() == nullptr ? "null again" : "STILL THERE");
  });
}

// ---- fibers
// ----------------------------------------------------------------------------------------------------

#ifndef BOBBIN_THREAD_EXIT_BY_TLS_CALLBACK
void* g_back;
void register_on_fiber(void* name) {
  note(static_cast<const char*>(name));
  for (;;) SwitchToFiber(g_back);
}

void fibers() {
  std::printf("a fiber that registered is deleted:\n");
  in_thread([] {
    g_back = ConvertThreadToFiber(nullptr);
    void* const fiber = CreateFiber(0, register_on_fiber, const_cast<char*>("the fiber's"));
    SwitchToFiber(fiber);
    DeleteFiber(fiber);
    std::printf("  nothing has gone\n");
    ConvertFiberToThread();
    note("the thread's");  // from here on its end is told of
  });
  std::printf("the same, by a thread that is no fiber any more:\n");
  in_thread([] {
    g_back = ConvertThreadToFiber(nullptr);
    void* const fiber = CreateFiber(0, register_on_fiber, const_cast<char*>("the fiber's"));
    SwitchToFiber(fiber);
    ConvertFiberToThread();
    DeleteFiber(fiber);
    std::printf("  nothing has gone\n");
  });
  std::printf("what a thread registered before it became a fiber, when that fiber is deleted:\n");
  in_thread([] {
    note("NEVER THE EARLY ONE, WHICH");
    g_back = ConvertThreadToFiber(nullptr);
    struct There {
      static void WINAPI go_on(void*) {
        ConvertFiberToThread();
        DeleteFiber(g_back);  // with the thread's FLS block
        std::printf("  nothing has gone\n");
        ExitThread(0);
      }
    };
    SwitchToFiber(CreateFiber(0, There::go_on, nullptr));
  });
  std::printf("a fiber of another thread is deleted:\n");
  static void* foreign;
  in_thread([] {
    note("NEVER THE FOREIGN ONE, WHICH");
    foreign = ConvertThreadToFiber(nullptr);
    struct There {
      static void WINAPI leave(void*) {
        ConvertFiberToThread();
        ExitThread(0);
      }
    };
    SwitchToFiber(CreateFiber(0, There::leave, nullptr));
  });
  in_thread([] {
    note("the deleting thread's");
    DeleteFiber(foreign);
    std::printf("  nothing has gone\n");
  });
  std::printf("a thread ends as a fiber:\n");
  in_thread([] {
    note("NEVER ONE OF A FIBER, WHICH");
    ConvertThreadToFiber(nullptr);
  });
  std::printf("a thread was a fiber for a while:\n");
  in_thread([] {
    note("what it registered before");
    ConvertThreadToFiber(nullptr);
    note("what it registered as a fiber");
    ConvertFiberToThread();
  });
}
#endif

// ---- a destructor that joins (case 76)
// -------------------------------------------------------------------------

HANDLE g_ready, g_go;
DWORD WINAPI joined(void*) {
  SetEvent(g_ready);
  WaitForSingleObject(g_go, INFINITE);
  return 0;
}
void join_on_drop(void* thread) {
  SetEvent(g_go);
  WaitForSingleObject(thread, INFINITE);
}
DWORD WINAPI joins_at_exit(void*) {
  at_thread_exit(join_on_drop, start(joined));
  WaitForSingleObject(g_ready, INFINITE);
  return 0;
}
void joining() {
  join(start(joins_at_exit));
  std::printf("joined\n");
}

// ---- a DLL (case 75)
// -------------------------------------------------------------------------------------------

using Register = void (*)(const char*);
using AtExit = void (*)(void (*)(void*), void*);
template <class Function>
Function export_of(HMODULE dll, const char* name) {
  return reinterpret_cast<Function>(reinterpret_cast<void*>(GetProcAddress(dll, name)));
}
HMODULE load() { return LoadLibraryA("library.dll"); }

void load_and_unload() {
  HMODULE dll = load();
  auto* const register_thread = export_of<Register>(dll, "register_thread");
  std::printf("loaded\n");
  register_thread("main");
  HANDLE thread = start(
      [](void* function) -> DWORD {
        reinterpret_cast<Register>(function)("worker");
        return 0;
      },
      reinterpret_cast<void*>(register_thread));
  join(thread);
  std::printf("thread joined\nunloading\n");
  FreeLibrary(dll);
  std::printf("unloaded%s\n", GetModuleHandleA("library.dll") != nullptr ? ", NOT" : "");
}

void load_and_keep() {
  HMODULE dll = load();
  export_of<Register>(dll, "register_thread")("main");
  std::printf("the program ends\n");
}

Register g_register;
HANDLE g_leave;  // a semaphore: an event lets go whichever thread comes first, not the one to be joined
void unload_among_threads() {
  g_leave = CreateSemaphoreA(nullptr, 0, 4, nullptr);
  for (int round = 0; round < 20; ++round) {
    HMODULE dll = load();
    g_register = export_of<Register>(dll, "register_thread");
    HANDLE threads[4];
    for (HANDLE& thread : threads) {
      thread = start([](void*) -> DWORD {
        g_register("A WORKER");
        SetEvent(g_ready);
        WaitForSingleObject(g_leave, INFINITE);
        return 0;
      });
      WaitForSingleObject(g_ready, INFINITE);
    }
    if (round == 0) g_register("main");
    FreeLibrary(dll);  // the four can still end, and nobody calls them back
    if (round == 0) std::printf("unloaded\n");
    ReleaseSemaphore(g_leave, 4, nullptr);
    for (HANDLE thread : threads) join(thread);
  }
  std::printf("the threads have ended\n");
}

/// A DLL at process exit, while a thread that is gone was in a destructor: FlsFree would wait for it for
/// ever.
void end_among_destructors() {
  HMODULE dll = load();
  g_register = export_of<Register>(dll, "register_thread");
  g_register("main");
  static AtExit at_exit;
  at_exit = export_of<AtExit>(dll, "at_exit_of_thread");
  start([](void*) -> DWORD {
    at_exit(
        [](void*) {
          SetEvent(g_ready);
          Sleep(INFINITE);
        },
        nullptr);
    return 0;
  });
  WaitForSingleObject(g_ready, INFINITE);
  std::printf("the program ends\n");
}

// ---- why a program keeps its index
// -----------------------------------------------------------------------------

#ifndef BOBBIN_THREAD_EXIT_BY_TLS_CALLBACK
CRITICAL_SECTION g_section;
void needs_section(void*) {
  SetEvent(g_ready);
  EnterCriticalSection(&g_section);
  LeaveCriticalSection(&g_section);
}
void free_index() { FlsFree(static_cast<DWORD>(bobbin::guest::detail::g_fls_index)); }

/// Comes back when a thread's destructor waits for the section, which the caller has.
void let_a_destructor_wait() {
  InitializeCriticalSection(&g_section);
  EnterCriticalSection(&g_section);
  start([](void*) -> DWORD {
    at_thread_exit(needs_section, nullptr);
    return 0;
  });
  WaitForSingleObject(g_ready, INFINITE);
}

/// As Rust did before its pull request 157645: the main thread frees the index at exit.
void program_frees_index() {
  let_a_destructor_wait();
  free_index();
}
/// The same program without that.
void program_keeps_index() {
  let_a_destructor_wait();
  note("main's");
  std::printf("the program ends\n");
}
#endif

/// Many threads at once, to whom the indices are new.
LONG g_gone;
void race() {
  HANDLE threads[32];
  for (HANDLE& thread : threads) {
    thread = start([](void*) -> DWORD {
      WaitForSingleObject(g_go, INFINITE);
      for (int i = 0; i < 10; ++i) at_thread_exit([](void*) { InterlockedIncrement(&g_gone); }, nullptr);
      return 0;
    });
  }
  for (HANDLE thread : threads) {
    SetEvent(g_go);
    (void)thread;
  }
  SetEvent(g_go);
  for (HANDLE thread : threads) {
    while (WaitForSingleObject(thread, 1) == WAIT_TIMEOUT) SetEvent(g_go);
    join(thread);
  }
  std::printf("320 destructors, %ld have run\n", g_gone);
}

}  // namespace

int main(int, char** arguments) {
  g_ready = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  g_go = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  struct {
    const char* name;
    void (*run)();
  } const kAll[] = {
      {"order", order},
      {"pointers", pointers},
      {"joining", joining},
      {"load_and_unload", load_and_unload},
      {"load_and_keep", load_and_keep},
      {"unload_among_threads", unload_among_threads},
      {"end_among_destructors", end_among_destructors},
      {"race", race},
#ifndef BOBBIN_THREAD_EXIT_BY_TLS_CALLBACK
      {"fibers", fibers},
      {"ending", ending},
      {"program_frees_index", program_frees_index},
      {"program_keeps_index", program_keeps_index},
#endif
  };
  setvbuf(stdout, nullptr, _IONBF, 0);
  bool known = false;
  for (++arguments; *arguments != nullptr; ++arguments) {
    for (const auto& one : kAll) {
      if (std::strcmp(one.name, *arguments) != 0) continue;
      one.run();
      known = true;
    }
  }
  return known ? 0 : 1;
}
