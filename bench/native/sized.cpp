// Twin of guest/sized.c: a shared library with TEMPLATE bytes of thread_local, touched through a function.
// NOTIFIED ones have a destructor, registered by the touch: what a thread's end calls here.
static thread_local volatile unsigned char g_block[TEMPLATE] = {1};

#ifdef NOTIFIED
extern "C" int __cxa_thread_atexit_impl(void (*)(void*), void*, void*);
extern "C" void* __dso_handle;
extern "C" void (*g_tell)();
void (*g_tell)() = nullptr;  // whom to pass it on to
extern "C" void touch() {
  __cxa_thread_atexit_impl(
      [](void*) {
        if (g_tell != nullptr) g_tell();
      },
      nullptr, &__dso_handle);
}
#else
extern "C" void touch() { g_block[0] = static_cast<unsigned char>(g_block[0] + 1); }
#endif
