// Case 77: native thread_local (`gs:[58h]`, by clang) with destructors, in a program and in a DLL. A thread's
// objects go inside its THREAD_DETACH, the last one first, a module's before its DllMain is told; the main
// thread's at exit.
#include <windows.h>

#include <cstdlib>

#include "native.hpp"

static thread_local Noted g_first("the program's first"), g_second("the program's second");
static void (*g_use_objects)();

static DWORD WINAPI work(void*) {
  g_use_objects();
  g_first.used = g_second.used = true;
  std::printf("the thread ends\n");
  return 0;
}

int main() {
  setvbuf(stdout, nullptr, _IONBF, 0);
  HMODULE dll = LoadLibraryA("native_dll.dll");
  g_use_objects = reinterpret_cast<void (*)()>(reinterpret_cast<void*>(GetProcAddress(dll, "use_objects")));
  HANDLE thread = CreateThread(nullptr, 0, work, nullptr, 0, nullptr);
  WaitForSingleObject(thread, INFINITE);
  std::printf("joined\n");
  g_use_objects();
  g_first.used = g_second.used = true;
  std::atexit([] { std::printf("atexit\n"); });
  std::printf("main returns\n");
}
