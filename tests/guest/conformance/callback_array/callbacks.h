// Three callbacks of one module, put in an order that is not that of the source.
#pragma once

#include "tls_directory.h"

#ifndef MODULE
#define MODULE "EXE"
#endif

extern const char __ImageBase;

static void show(const char* which, void* base, DWORD reason, void* reserved) {
  case_line(25, MODULE ", callback %s: %s, base is the module's: %b, third argument: %p", which,
            reason_name(reason), base == &__ImageBase, reserved);
}

static void NTAPI third(void* base, DWORD reason, void* reserved) { show("3", base, reason, reserved); }
static void NTAPI first(void* base, DWORD reason, void* reserved) { show("1", base, reason, reserved); }
static void NTAPI second(void* base, DWORD reason, void* reserved) { show("2", base, reason, reserved); }
TLS_CALLBACK(third, "Y");
TLS_CALLBACK(first, "B");
TLS_CALLBACK(second, "C");
