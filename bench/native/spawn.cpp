// Times a program from start to exit, so often: spawn COUNT PROGRAM [ARGUMENTS...]. Prints `start
// nanoseconds`.
#include <spawn.h>
#include <sys/wait.h>

#include "bench.hpp"

int main(int count, char** arguments) {
  require(count > 2);
  const int runs = std::atoi(arguments[1]);
  for (int i = 0; i < runs; ++i) {
    const auto from = Clock::now();
    pid_t child;
    int status = 0;
    require(posix_spawnp(&child, arguments[2], nullptr, nullptr, arguments + 2, environ) == 0);
    require(waitpid(child, &status, 0) == child && status == 0);
    report("start", from, 1);
  }
}
