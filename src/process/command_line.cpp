// The rules, as the C runtimes and CommandLineToArgvW have them:
//   - the program's name ends at the next quote if it starts with one, else at the first blank;
//   - blanks separate arguments, except between quotes;
//   - 2n backslashes before a quote are n backslashes, and the quote opens or closes;
//   - 2n+1 backslashes before a quote are n backslashes and a quote that is a character;
//   - backslashes elsewhere are themselves; two quotes inside quotes are one quote, and stay inside.
#include "process/command_line.hpp"

#include <algorithm>

namespace bobbin::process {
namespace {

constexpr std::u16string_view kBlanks = u" \t";

bool is_blank(char16_t c) { return c == u' ' || c == u'\t'; }

void append_quoted(std::u16string& line, std::u16string_view argument) {
  if (!argument.empty() && argument.find_first_of(u" \t\n\v\"") == std::u16string_view::npos) {
    line += argument;
    return;
  }
  line += u'"';
  std::size_t backslashes = 0;
  for (const char16_t c : argument) {
    if (c == u'\\') {
      ++backslashes;
      continue;
    }
    line.append(c == u'"' ? 2 * backslashes + 1 : backslashes, u'\\');
    backslashes = 0;
    line += c;
  }
  line.append(2 * backslashes, u'\\');
  line += u'"';
}

std::u16string take_program(std::u16string_view& line) {
  const bool quoted = line.starts_with(u'"');
  if (quoted) line.remove_prefix(1);
  const std::size_t end = std::min(quoted ? line.find(u'"') : line.find_first_of(kBlanks), line.size());
  std::u16string program(line.substr(0, end));
  line.remove_prefix(std::min(end + (quoted ? 1 : 0), line.size()));
  return program;
}

/// One argument after the first; `line` starts with it.
std::u16string take_argument(std::u16string_view& line) {
  std::u16string argument;
  bool inside = false;
  std::size_t i = 0;
  while (i < line.size() && (inside || !is_blank(line[i]))) {
    std::size_t backslashes = 0;
    while (i < line.size() && line[i] == u'\\') ++i, ++backslashes;
    const bool before_quote = i < line.size() && line[i] == u'"';
    argument.append(before_quote ? backslashes / 2 : backslashes, u'\\');
    if (!before_quote) {
      if (backslashes == 0) argument += line[i++];
      continue;
    }
    ++i;
    if (backslashes % 2 == 1) {
      argument += u'"';
    } else if (inside && i < line.size() && line[i] == u'"') {
      argument += u'"';
      ++i;
    } else {
      inside = !inside;
    }
  }
  line.remove_prefix(i);
  return argument;
}

}  // namespace

std::u16string join_command_line(const std::vector<std::u16string>& arguments) {
  std::u16string line;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (i != 0) {
      line += u' ';
      append_quoted(line, arguments[i]);
    } else if (arguments[0].empty() || arguments[0].find_first_of(kBlanks) != std::u16string::npos) {
      line += u'"';
      line += arguments[0];
      line += u'"';
    } else {
      line += arguments[0];
    }
  }
  return line;
}

std::vector<std::u16string> split_command_line(std::u16string_view line) {
  if (line.empty()) return {};
  std::vector<std::u16string> arguments = {take_program(line)};
  for (;;) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    if (line.empty()) return arguments;
    arguments.push_back(take_argument(line));
  }
}

}  // namespace bobbin::process
