// bobbin run: the program's streams, exit code and current folder are ours.
#include <cstdio>

#include "command.hpp"

namespace bobbin::tools {

int run_program(Settings& settings, const std::vector<std::string>& words) {
  if (words.empty()) {
    std::fprintf(stderr, "bobbin: run needs a program: bobbin run [OPTIONS] PROGRAM.exe [ARGS...]\n");
    return 125;
  }
  settings.options.program = words.front();
  settings.options.arguments.assign(words.begin() + 1, words.end());
  settings.options.exit_ends_host = true;
  auto runtime = Runtime::start(settings.options);
  if (!runtime) return report(runtime.error());
  auto code = runtime->run();  // does not come back from a program that ran
  return code ? static_cast<int>(*code) : report(code.error());
}

}  // namespace bobbin::tools
