#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace bobbin::tools {

namespace {

void write_json(FILE& file, const Finding& finding) {
  const nlohmann::ordered_json row = {
      {"rule", finding.rule},         {"module", finding.module},
      {"function", finding.function}, {"address", fmt::format("{}", finding.address)},
      {"text", finding.text},         {"advice", finding.advice}};
  const std::string line = row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), &file);
  std::fflush(&file);
}

}  // namespace

std::optional<std::string> Settings::finish() {
  static const std::map<std::string, Generation> kGenerations = {{"nt52", Generation::nt52},
                                                                 {"vista", Generation::vista},
                                                                 {"win10", Generation::win10},
                                                                 {"win11", Generation::win11}};
  static const std::map<std::string, std::uint32_t> kTraces = {
      {"loader", kTraceLoader}, {"tls", kTraceTls},       {"thread", kTraceThread},
      {"exit", kTraceExit},     {"native", kTraceNative}, {"sync", kTraceSync}};
  options.generation = kGenerations.at(generation);
  if (!tls_growth.empty()) options.tls_growth = tls_growth == "swap" ? TlsGrowth::swap : TlsGrowth::in_place;
  options.deadlock_ends_guest = on_deadlock == "exit";
  options.inherit_environment = !clear_environment;
  for (const std::string& word : environment) {
    const std::size_t equals = word.find('=', 1);  // names may begin with one, as Windows' =C: does
    if (equals == std::string::npos)
      options.environment.emplace_back(word, std::nullopt);
    else
      options.environment.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  for (const std::string& word : drives) {
    if (word.size() < 3 || word[1] != '=') return "--drive takes LETTER=FOLDER, not '" + word + "'";
    options.drives.emplace_back(word[0], word.substr(2));
  }
  for (const std::string& word : trace) {
    const auto category = kTraces.find(word);
    if (category == kTraces.end())
      return "--trace knows loader, tls, thread, exit, native, sync, not '" + word + "'";
    options.trace |= category->second;
  }
  if (!lint_json.empty()) {
    // Children append to the same file, a whole line at a time.
    const std::shared_ptr<FILE> out(std::fopen(lint_json.c_str(), "ae"),
                                    [](FILE* f) { return f == nullptr ? 0 : std::fclose(f); });
    if (!out) return "cannot write " + lint_json + ": " + std::strerror(errno);
    options.on_finding = [out](const Finding& finding) { write_json(*out, finding); };
  }
  options.child_command = child_command();
  return std::nullopt;
}

std::vector<std::string> Settings::child_command() const {
  const auto absolute = [](const std::string& path) { return std::filesystem::absolute(path).string(); };
  std::vector<std::string> words = {"/proc/self/exe", "run",           "--windows",
                                    generation,       "--on-deadlock", on_deadlock};
  const auto add = [&](const char* option, const std::string& value) {
    words.insert(words.end(), {option, value});
  };
  if (!tls_growth.empty()) add("--tls-growth", tls_growth);
  for (const std::string& folder : options.dll_path) add("--dll-path", absolute(folder));
  if (!options.system_folder.empty()) add("--system", absolute(options.system_folder));
  if (!options.cache_folder.empty())
    add("--cache", options.cache_folder == "-" ? options.cache_folder : absolute(options.cache_folder));
  for (const auto& [letter, folder] : options.drives)
    add("--drive", std::string{letter, '='} + absolute(folder));
  for (const std::string& category : trace) add("--trace", category);
  if (options.list_missing) words.emplace_back("--missing");
  if (options.lint) words.emplace_back("--lint");
  if (!lint_json.empty()) add("--lint-json", absolute(lint_json));
  return words;
}

}  // namespace bobbin::tools
