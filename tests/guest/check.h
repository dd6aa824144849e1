// Checks for guest tests: a failed one says where and goes on; DONE() is main's last statement.
#pragma once

#include <stdio.h>
#include <windows.h>

static int g_failures;

#define CHECK(condition)                                                                               \
  ((condition) ? (void)0                                                                               \
               : (void)(++g_failures,                                                                  \
                        printf("%s:%d: failed: %s (last error %lu)\n", __FILE__, __LINE__, #condition, \
                               GetLastError()),                                                        \
                        fflush(stdout)))

/* For checks of what Wine is known to do otherwise; each such check says what it is. */
static inline int running_under_wine(void) {
  return GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL;
}

#define DONE() (printf(g_failures ? "%d FAILED\n" : "ok\n", g_failures), fflush(stdout), g_failures != 0)
