// The least that a process can do: the driver times it from start to exit.
#include <windows.h>

void start(void) { ExitProcess(0); }
