// Twin of guest/alive.c.
#include <unistd.h>

#include "idle.hpp"

static void pause_here() {
  char answer;
  require(write(1, "ready\n", 6) == 6 && read(0, &answer, 1) >= 0);
}

int main(int count, char** arguments) {
  pause_here();
  live(count > 1 ? static_cast<unsigned>(std::atoi(arguments[1])) : 1);
  pause_here();
  _exit(0);
}
