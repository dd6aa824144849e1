// Twin of guest/library.c: a small shared library with a thread_local and something to run at load and
// unload.
static thread_local volatile unsigned g_counter = 1;
static volatile bool g_loaded = false;

extern "C" void bump_in_library() { g_counter = g_counter + 1; }

[[gnu::constructor]] static void loaded() { g_loaded = true; }
[[gnu::destructor]] static void unloaded() { g_loaded = false; }
