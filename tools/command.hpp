// What the subcommands share: the settings that main() filled in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <bobbin/bobbin.hpp>

namespace bobbin::tools {

struct Settings {
  Options options;
  std::string file;                    ///< PROGRAM or FILE
  std::string name;                    ///< EXPORT
  std::vector<std::string> arguments;  ///< ARGS
  std::vector<std::string> environment, drives, trace;
  std::string generation = "win11";
  std::string tls_growth;  ///< empty: the library's choice
  std::string on_deadlock = "exit";
  std::string lint_json;  ///< empty: none is wanted
  std::string returns = "int";
  bool clear_environment = false;
  bool json = false;
  bool colour = false;

  /// Turns the words above into Options; a sentence if one makes no sense.
  [[nodiscard]] std::optional<std::string> finish();

 private:
  /// `bobbin run` with the same options, for the programs that the guest starts. Their environment is the
  /// guest's own to choose; folders are made absolute, as it chooses their current folder too.
  [[nodiscard]] std::vector<std::string> child_command() const;
};

/// Prints an error and says which exit code it is.
[[nodiscard]] int report(const Error& error);

/// `words`: the program and its arguments.
[[nodiscard]] int run_program(Settings& settings, const std::vector<std::string>& words);
[[nodiscard]] int call_function(Settings& settings);
[[nodiscard]] int diagnose_file(const Settings& settings);

}  // namespace bobbin::tools
