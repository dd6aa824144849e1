// Checks for guest tests: a failed one says where and goes on; DONE() is main's last statement.
#pragma once

#include <stdio.h>
#include <windows.h>

static int g_failures;

#define CHECK(condition)                                                                       \
  ((condition) ? (void)0                                                                       \
               : (void)(++g_failures,                                                          \
                        printf("%s:%d: failed: %s (last error %lu)\n", __FILE__, __LINE__,     \
                               #condition, GetLastError()),                                    \
                        fflush(stdout)))

#define DONE() (printf(g_failures ? "%d FAILED\n" : "ok\n", g_failures), fflush(stdout), g_failures != 0)
