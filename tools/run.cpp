// bobbin run: the program's streams, exit code and current folder are ours.
#include "command.hpp"

namespace bobbin::tools {

int run_program(Settings& settings, const std::vector<std::string>& arguments) {
  settings.options.program = settings.file;
  settings.options.arguments = arguments;
  settings.options.exit_ends_host = true;
  auto runtime = Runtime::start(settings.options);
  if (!runtime) return report(runtime.error());
  auto code = runtime->run();  // does not come back from a program that ran
  return code ? static_cast<int>(*code) : report(code.error());
}

}  // namespace bobbin::tools
