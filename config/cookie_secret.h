#ifndef SLUICE_CONFIG_COOKIE_SECRET_H_
#define SLUICE_CONFIG_COOKIE_SECRET_H_

#include <string>

// The files that cookie keys come from, for directors and for the agents on backends.
namespace sluice::config {

// Reads 32 hexadecimal digits, which blanks may follow. Returns what is wrong, without a word of the contents; empty
// when nothing is.
std::string ReadCookieSecret(const std::string& path, std::string* digits);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_COOKIE_SECRET_H_
