// The modules of one load, before and after they become visible.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "loader/loader.hpp"

namespace bobbin::loader {

/// Owns the modules that a load has mapped so far; dropping it unmaps them. publish() hands them to the
/// loader.
struct Loader::Transaction {
  Transaction() = default;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  /// What was not published goes; nobody who stays may remember it.
  ~Transaction() {
    for (Module* module : forwarding) {
      std::erase_if(module->dependencies, [this](const Module* needed) {
        return std::ranges::any_of(fresh, [needed](const auto& one) { return one.get() == needed; });
      });
    }
  }

  std::vector<std::unique_ptr<Module>> fresh;  ///< in load order
  std::vector<Module*> order;                  ///< dependencies first
  std::vector<tls::Reservation> reservations;  ///< one for each of tls_modules
  std::vector<Module*> tls_modules;
  std::vector<Module*> forwarding;  ///< modules that forward to others of this load
  Folders folders;                  ///< where its DLLs are looked for
  bool static_load = false;         ///< part of process start
  bool resolve = true;              ///< false: DONT_RESOLVE_DLL_REFERENCES
};

}  // namespace bobbin::loader
