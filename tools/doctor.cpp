// bobbin doctor: each import, recursively, and who provides it.
#include <cstdio>

#include <fmt/format.h>
#include <bobbin/doctor.hpp>
#include <nlohmann/json.hpp>

#include "command.hpp"

namespace bobbin::tools {
namespace {

const char* word(Provider provider) {
  switch (provider) {
    case Provider::native:
      return "native";
    case Provider::guest:
      return "guest DLL";
    case Provider::partial:
      return "partial";
    case Provider::missing:
      return "missing";
  }
  return "";
}

int list_natives(bool json) {
  if (!json) {
    for (const NativeFunction& function : native_functions()) {
      fmt::print("{:<40} {}{}\n", function.name, fmt::join(function.dlls, " "),
                 function.partial.empty() ? "" : "  PARTIAL: " + function.partial);
    }
    return 0;
  }
  auto all = nlohmann::ordered_json::array();
  for (const NativeFunction& function : native_functions()) {
    all.push_back({{"name", function.name}, {"dlls", function.dlls}, {"partial", function.partial}});
  }
  fmt::print("{}\n", all.dump(2));
  return 0;
}

void print_json(const Diagnosis& diagnosis) {
  nlohmann::ordered_json out = {
      {"missing", diagnosis.missing}, {"partial", diagnosis.partial}, {"dlls", nlohmann::json::array()}};
  for (const DllStatus& dll : diagnosis.dlls) {
    nlohmann::ordered_json row = {
        {"importer", dll.importer}, {"dll", dll.dll}, {"found_at", dll.found_at}, {"delayed", dll.delayed}};
    row["imports"] = nlohmann::json::array();
    for (const ImportStatus& import : dll.imports) {
      row["imports"].push_back(
          {{"function", import.function}, {"provider", word(import.provider)}, {"detail", import.detail}});
    }
    out["dlls"].push_back(std::move(row));
  }
  fmt::print("{}\n", out.dump(2));
}

void print_text(const Diagnosis& diagnosis, bool colour) {
  const char* bad = colour ? "\033[31m" : "";
  const char* doubtful = colour ? "\033[33m" : "";
  const char* plain = colour ? "\033[0m" : "";
  for (const DllStatus& dll : diagnosis.dlls) {
    fmt::print("{} -> {}{}  {}\n", dll.importer, dll.dll, dll.delayed ? " (delayed)" : "",
               dll.found_at.empty() ? fmt::format("{}not found{}", bad, plain) : dll.found_at);
    std::size_t fine = 0;
    for (const ImportStatus& import : dll.imports) {
      if (import.provider == Provider::native || import.provider == Provider::guest) {
        ++fine;
        continue;
      }
      const char* tint = import.provider == Provider::missing ? bad : doubtful;
      fmt::print("    {}{:<8}{} {}{}{}\n", tint, word(import.provider), plain, import.function,
                 import.detail.empty() ? "" : ": ", import.detail);
    }
    if (fine != 0) fmt::print("    {} {} found\n", fine, fine == 1 ? "function" : "functions");
  }
  if (diagnosis.missing != 0)
    fmt::print("{}{} missing: it cannot be loaded{}\n", bad, diagnosis.missing, plain);
  else
    fmt::print("nothing is missing{}\n",
               diagnosis.partial != 0 ? fmt::format("; {} partial", diagnosis.partial) : "");
}

}  // namespace

int diagnose_file(const Settings& settings) {
  if (settings.file.empty()) return list_natives(settings.json);
  auto diagnosis = diagnose(settings.file, settings.options);
  if (!diagnosis) return report(diagnosis.error());
  if (settings.json)
    print_json(*diagnosis);
  else
    print_text(*diagnosis, settings.colour);
  return diagnosis->missing == 0 ? 0 : 1;
}

}  // namespace bobbin::tools
