// Which case the program was started with: the last word of its command line.
#pragma once

#include "../guest.h"

static int is_case(const char* name) {
  const char* word = GetCommandLineA();
  for (const char* at = word; *at; ++at)
    if (*at == ' ') word = at + 1;
  return same_text(word, name);
}
