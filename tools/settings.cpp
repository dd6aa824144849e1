#include <map>

#include "command.hpp"

namespace bobbin::tools {

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
  return std::nullopt;
}

}  // namespace bobbin::tools
