// The command: options in, the public interface, exit codes out.
//
//   bobbin run PROGRAM.exe [ARGS...]     run a Windows program
//   bobbin call FILE.dll EXPORT [ARGS]   call one function of a DLL
//   bobbin inspect FILE                  what a file contains, above all its TLS
//   bobbin doctor FILE                   whether a file finds all that it imports
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <cstdio>

#include <bobbin/bobbin.hpp>

#include "command.hpp"
#include "inspect.hpp"

namespace bobbin::tools {

int report(const Error& error) {
  std::fprintf(stderr, "bobbin: %s\n", error.message().c_str());
  switch (error.kind) {  // as env(1) and timeout(1) do
    case ErrorKind::not_found:
      return 127;
    case ErrorKind::not_pe:
    case ErrorKind::wrong_machine:
    case ErrorKind::malformed:
    case ErrorKind::missing_export:
    case ErrorKind::refused:
    case ErrorKind::unsupported:
      return 126;
    default:
      return 125;
  }
}

namespace {

/// Options that `run`, `call` and `doctor` share.
void add_runtime_options(CLI::App& command, Settings& settings) {
  command
      .add_option("-L,--dll-path", settings.options.dll_path, "Search this folder for DLLs too (repeatable)")
      ->type_name("FOLDER")
      ->allow_extra_args(false);
  command.add_option("--system", settings.options.system_folder, "Folder of the C runtime DLLs")
      ->type_name("FOLDER");
  command
      .add_option("-e,--env", settings.environment,
                  "Set NAME=VALUE for the guest, or remove NAME (repeatable)")
      ->type_name("NAME[=VALUE]")
      ->allow_extra_args(false);
  command.add_flag("--clear-env", settings.clear_environment, "Start from an empty environment");
  command.add_option("--windows", settings.generation, "Windows generation: nt52, vista, win10 or win11")
      ->check(CLI::IsMember({"nt52", "vista", "win10", "win11"}));
  command
      .add_option("--tls-growth", settings.tls_growth,
                  "How TLS vectors grow under running threads: in-place or swap, as on Windows")
      ->check(CLI::IsMember({"in-place", "swap"}));
  command.add_option("--drive", settings.drives, "Map a drive letter: C=/srv/windows (repeatable; Z: is /)")
      ->type_name("LETTER=FOLDER")
      ->allow_extra_args(false);
  command
      .add_option("--trace", settings.trace,
                  "Say what happens: loader, tls, thread, exit, sync, native (functions asked for in vain; "
                  "comma separated)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--on-deadlock", settings.on_deadlock,
                  "When threads wait for each other: exit (with 3, after saying so) or hang, as on Windows")
      ->check(CLI::IsMember({"exit", "hang"}));
  command.add_flag("--missing", settings.options.list_missing,
                   "At the end, list the functions that GetProcAddress was asked for in vain");
  command.add_flag(
      "--lint", settings.options.lint,
      "Say what the guest does wrong under the loader lock, and what unloaded DLLs leave behind");
  command.add_option("--lint-json", settings.lint_json, "Append the same to a file, a JSON object per line")
      ->type_name("FILE");
  command
      .add_option("--cache", settings.options.cache_folder,
                  "Folder for page-aligned copies of images, - for none")
      ->type_name("FOLDER");
}

int parse_error(const CLI::App& app, const CLI::ParseError& error) {
  const int code = app.exit(error);  // prints help or the error
  return code == 0 ? 0 : 125;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Run Windows programs and call Windows DLLs on Linux, with the whole of Windows thread-local storage.",
      "bobbin"};
  app.set_version_flag("--version", std::string("bobbin ") + version());
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  app.footer(
      "Exit codes: the guest's own; 125 for a failure of Bobbin, 126 for a file that cannot be used, 127 for "
      "one\n"
      "that is not found.");
  Settings settings;

  CLI::App* run = app.add_subcommand("run", "Run a Windows program: run [OPTIONS] PROGRAM.exe [ARGS...]");
  // The first word that is no option of ours is the program; all that follows is the program's own.
  run->prefix_command();
  add_runtime_options(*run, settings);

  CLI::App* call = app.add_subcommand("call", "Call a function of a DLL and print what it returns");
  call->add_option("FILE", settings.file, "The DLL")->required();
  call->add_option("EXPORT", settings.name,
                   "The function's name, or #ordinal; without one, the DLL is only loaded and unloaded");
  call->add_option("ARGS", settings.arguments,
                   "Up to 12 arguments: integers (10, -1, 0xFF) or strings (\"10\" in quotes is one)");
  call->add_option("--returns", settings.returns, "How to print the result: int, uint, hex, string, none")
      ->check(CLI::IsMember({"int", "uint", "int64", "hex", "string", "none"}));
  add_runtime_options(*call, settings);

  CLI::App* inspect = app.add_subcommand("inspect", "Show what a file contains, above all its TLS");
  inspect->add_option("FILE", settings.file, "A PE file")->required();
  inspect->add_flag("--json", settings.json, "For scripts");

  CLI::App* doctor = app.add_subcommand("doctor", "Tell whether a file finds all that it imports");
  doctor->add_option("FILE", settings.file,
                     "A program or DLL; without one, Bobbin's own functions are listed");
  doctor->add_flag("--json", settings.json, "For scripts");
  add_runtime_options(*doctor, settings);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return parse_error(app, error);
  }
  if (auto problem = settings.finish()) {
    std::fprintf(stderr, "bobbin: %s\n", problem->c_str());
    return 125;
  }
  settings.colour = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == nullptr;
  if (run->parsed()) return run_program(settings, run->remaining());  // the program and its arguments
  if (call->parsed()) return call_function(settings);
  if (inspect->parsed()) return run_inspect(settings.file, settings.json, settings.colour);
  return diagnose_file(settings);
}

}  // namespace bobbin::tools

int main(int argc, char** argv) { return bobbin::tools::main(argc, argv); }
