# Brings a help text into the form that help2man knows. "NAME: what it is", an empty line and the ways to call it, each
# indented, become "Usage:" and "or:" lines with the description after them. What begins with "Usage:" stays as it is. Blocks of
# YAML are more than help2man understands: the page has them from elsewhere.
/^Steps of a scenario:$/ { exit }
NR == 1 && !/^Usage:/ { what = $0; sub(/^[^:]*: */, "", what); part = "begin"; next }
part == "begin" && /^$/ { next }
part == "begin" && /^  / { part = "synopsis"; sub(/^ +/, ""); print "Usage: " $0; next }
part == "synopsis" && /^  / { sub(/^ +/, ""); print "  or:  " $0; next }
part == "synopsis" { part = ""; print ""; print what; print ""; next }
{ print }
