// A DLL with destructors at thread exit, as Rust's test dynamic-loading-cdylib has it (specification 7.5).
#include <cstdio>
#include <cstring>

#include <bobbin/thread_exit.hpp>

namespace {

struct Noted {
  char name[16];
  ~Noted() { std::printf("  the object of %s goes\n", name); }
};
bobbin::guest::thread_local_ptr<Noted> g_noted;

}  // namespace

extern "C" __declspec(dllexport) void register_thread(const char* name) {
  auto* const noted = new Noted;
  std::strncpy(noted->name, name, sizeof noted->name - 1);
  noted->name[sizeof noted->name - 1] = 0;
  if (!g_noted.reset(noted)) std::printf("NOT REGISTERED\n");
}

/// For threads that are still in a destructor when the process ends.
extern "C" __declspec(dllexport) void at_exit_of_thread(void (*function)(void*), void* object) {
  if (!bobbin::guest::at_thread_exit(function, object)) std::printf("NOT REGISTERED\n");
}
