// The modules of one load, before and after they become visible.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "loader/loader.hpp"

namespace bobbin::loader {

/// Owns the modules that a load has mapped so far; dropping it unmaps them. publish() hands them to the loader.
struct Loader::Transaction {
  std::vector<std::unique_ptr<Module>> fresh;     ///< in load order
  std::vector<Module*> order;                     ///< dependencies first
  std::vector<tls::Reservation> reservations;     ///< one for each of tls_modules
  std::vector<Module*> tls_modules;
  std::string first_folder;                       ///< searched before all others; may be empty
  bool static_load = false;                       ///< part of process start
};

}  // namespace bobbin::loader
