// A DLL that notes everything it is told: its TLS callback as "<NAME>.tls", its DllMain as "<NAME>.main".
// NOTING_NAME is its name, a string. It has one thread-local int, `value`, of template value NOTING_VALUE.
#pragma once

#include "journal.h"
#include "tls_directory.h"

#ifndef NOTING_VALUE
#define NOTING_VALUE 1
#endif

PER_THREAD(int, value, NOTING_VALUE);

static void NTAPI note_callback(void* module, DWORD reason, void* reserved) {
  journal_note(NOTING_NAME ".tls", reason);
}
TLS_CALLBACK(note_callback, "C");

DLL_ENTRY() {
  journal_note(NOTING_NAME ".main", reason);
  return TRUE;
}
