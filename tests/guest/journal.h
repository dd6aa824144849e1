// Who was called when: each module notes its notifications in the journal, which is a DLL of its own
// (journal.c) without TLS that notes nothing about itself.
#pragma once

#include "guest.h"

// Notes "A.tls THREAD_ATTACH". Prints it at once, or keeps it if the journal is told to (journal_keep).
__declspec(dllimport) void journal_note(const char* who, DWORD reason);

// From now on notes are kept in memory (for what runs on several threads, or in an order that is not
// asserted).
__declspec(dllimport) void journal_keep(int on);

// The position of a kept note, counted from 1; 0 if there is none.
__declspec(dllimport) unsigned journal_position(const char* who, DWORD reason);

// How many notes are kept.
__declspec(dllimport) unsigned journal_length(void);
