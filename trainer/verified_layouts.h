// RUN/verified.jsonl: the layouts under which a run's folder has seen the check of layout_check.h pass, one JSON object a
// line, oldest first.
#pragma once

#include <optional>
#include <string>

#include "core/status.h"
#include "parallel/mesh.h"
#include "trainer/layout_check.h"
#include "trainer/run_config.h"

namespace weft {

// Everything that decides who computes what, when, and where it lies, as one line of JSON.
std::string DescribeLayout(const RunConfig& config, const MeshShape& mesh, Device device);

// What the check found where `layout` stands in the folder's list (the newest line of it). A list that cannot be read holds
// nothing, and so the check runs again.
std::optional<LayoutAgreement> FindVerified(const std::string& folder, const std::string& layout);

// Adds it, and makes folder and list where they are not there yet.
Status AddVerified(const std::string& folder, const std::string& layout, const LayoutAgreement& agreement);

}  // namespace weft
