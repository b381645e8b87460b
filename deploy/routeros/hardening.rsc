# NetSentinel: hardens a MikroTik router and makes the read-only account that the collector uses.
#
# Fill in the parameters, copy the file to the router, then: /import file-name=hardening.rsc
# It stops with a message before it changes anything when a parameter is unset or wrong. A second run
# adds nothing: rules and lists are found by their comment (netsentinel:NN), everything else by name.
# For RouterOS 6.49 and 7. docs/hardening.md says what it does and what to check afterwards.
# Each command is one physical line: continued lines get lost when they are pasted over SSH.
# Commands for menus and policies that not every version has stand in strings for :parse, because
# a word that the router does not know would stop the whole file.

# --- Parameters ---------------------------------------------------------------------------------
# Where the collector connects from: one IPv4 prefix, and one IPv6 prefix or "none".
:local nsCollector ""
:local nsCollector6 ""
# From where people manage the router: one IPv4 prefix, and one IPv6 prefix or "none". Whoever is
# logged in while this file is imported must come from there: it would lock them out otherwise.
:local nsAdmins ""
:local nsAdmins6 ""
# What becomes of SSH and WinBox from anywhere else: "drop" drops it, "watch" leaves it to your own
# rules below and blocks a source from these ports for a day at its fourth connection.
:local nsElsewhere ""
# Password of the collector's account: at least 16 characters. An existing account keeps its own.
# Here, as in every text below, write \\ for a backslash, \" for a quote and \$ for a dollar sign.
:local nsPassword ""
# Name of the router in its certificate, and as what the collector dials it: "IP:192.0.2.1" or "DNS:hq.example".
:local nsRouterName ""
:local nsRouterSan ""
# "yes" when the router answers DNS for its clients, else "no".
:local nsServeDns ""
# From where SNMP is asked: one IPv4 prefix, or "none" to switch SNMP off.
:local nsSnmp ""
# Interface list that may see the router as a neighbour and reach it by MAC address, or "none".
:local nsMacList ""
# Names of the account and its group.
:local nsUser "netsentinel"
:local nsGroup "netsentinel-ro"

# --- Stop when something is unset ---------------------------------------------------------------
:if ([:len $nsCollector] = 0) do={ :error "netsentinel: nsCollector is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsCollector6] = 0) do={ :error "netsentinel: nsCollector6 is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsAdmins] = 0) do={ :error "netsentinel: nsAdmins is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsAdmins6] = 0) do={ :error "netsentinel: nsAdmins6 is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsElsewhere] = 0) do={ :error "netsentinel: nsElsewhere is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsPassword] = 0) do={ :error "netsentinel: nsPassword is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsRouterName] = 0) do={ :error "netsentinel: nsRouterName is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsRouterSan] = 0) do={ :error "netsentinel: nsRouterSan is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsServeDns] = 0) do={ :error "netsentinel: nsServeDns is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsSnmp] = 0) do={ :error "netsentinel: nsSnmp is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsMacList] = 0) do={ :error "netsentinel: nsMacList is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsUser] = 0) do={ :error "netsentinel: nsUser is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsGroup] = 0) do={ :error "netsentinel: nsGroup is unset: fill it in at the top of the file, then import it again" }
:if ([:len $nsPassword] < 16) do={ :error "netsentinel: nsPassword is shorter than 16 characters: choose a longer one" }
:if ($nsUser = "admin") do={ :error "netsentinel: nsUser must not be admin, which people use: name an account for the collector alone" }
:if ($nsGroup = "full" or $nsGroup = "write" or $nsGroup = "read") do={ :error "netsentinel: nsGroup must not be a group of the router's own ($nsGroup): its other users would lose their rights" }
:if ($nsServeDns != "yes" and $nsServeDns != "no") do={ :error "netsentinel: nsServeDns must be yes or no" }
:local nsMajor [:pick [/system resource get version] 0 1]
:if ($nsMajor != "6" and $nsMajor != "7") do={ :error "netsentinel: this file knows RouterOS 6 and 7 only" }
:local nsFrom $nsCollector
:if ($nsCollector6 != "none") do={ :set nsFrom ($nsCollector . "," . $nsCollector6) }
:local nsManage $nsAdmins
:if ($nsAdmins6 != "none") do={ :set nsManage ($nsAdmins . "," . $nsAdmins6) }
:if ($nsElsewhere != "drop" and $nsElsewhere != "watch") do={ :error "netsentinel: nsElsewhere must be drop or watch" }
# A typing error here would let everyone in, or lock everyone out.
:if (!($nsCollector ~ "^[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+/[0-9]+\$")) do={ :error "netsentinel: nsCollector must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24: no other form is taken" }
:if (true) do={ :local nsHost [:pick $nsCollector 0 [:find $nsCollector "/"]]; :local nsBits [:tonum [:pick $nsCollector ([:find $nsCollector "/"] + 1) [:len $nsCollector]]]; :if ([:typeof [:toip $nsHost]] != "ip") do={ :error "netsentinel: nsCollector must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24: it holds no address" }; :if ([:pick $nsHost 0 2] = "0.") do={ :error "netsentinel: nsCollector must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24: it stands for everyone or for nobody" }; :if ($nsBits < 8 or $nsBits > 32) do={ :error "netsentinel: nsCollector must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24: it is too wide, or no prefix" } }
:if (!($nsAdmins ~ "^[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+/[0-9]+\$")) do={ :error "netsentinel: nsAdmins must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24: no other form is taken" }
:if (true) do={ :local nsHost [:pick $nsAdmins 0 [:find $nsAdmins "/"]]; :local nsBits [:tonum [:pick $nsAdmins ([:find $nsAdmins "/"] + 1) [:len $nsAdmins]]]; :if ([:typeof [:toip $nsHost]] != "ip") do={ :error "netsentinel: nsAdmins must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24: it holds no address" }; :if ([:pick $nsHost 0 2] = "0.") do={ :error "netsentinel: nsAdmins must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24: it stands for everyone or for nobody" }; :if ($nsBits < 8 or $nsBits > 32) do={ :error "netsentinel: nsAdmins must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24: it is too wide, or no prefix" } }
:if ($nsSnmp != "none" and !($nsSnmp ~ "^[0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+/[0-9]+\$")) do={ :error "netsentinel: nsSnmp must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24, or none: no other form is taken" }
:if ($nsSnmp != "none") do={ :local nsHost [:pick $nsSnmp 0 [:find $nsSnmp "/"]]; :local nsBits [:tonum [:pick $nsSnmp ([:find $nsSnmp "/"] + 1) [:len $nsSnmp]]]; :if ([:typeof [:toip $nsHost]] != "ip") do={ :error "netsentinel: nsSnmp must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24, or none: it holds no address" }; :if ([:pick $nsHost 0 2] = "0.") do={ :error "netsentinel: nsSnmp must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24, or none: it stands for everyone or for nobody" }; :if ($nsBits < 8 or $nsBits > 32) do={ :error "netsentinel: nsSnmp must be one IPv4 prefix from /8 to /32 such as 10.20.0.0/24, or none: it is too wide, or no prefix" } }
:if ($nsCollector6 != "none" and !($nsCollector6 ~ "^[0-9a-fA-F:]+/[0-9]+\$")) do={ :error "netsentinel: nsCollector6 must be one IPv6 prefix from /16 to /128 such as 2001:db8:1::/48, or none: no other form is taken" }
:if ($nsCollector6 != "none") do={ :local nsHost [:pick $nsCollector6 0 [:find $nsCollector6 "/"]]; :local nsBits [:tonum [:pick $nsCollector6 ([:find $nsCollector6 "/"] + 1) [:len $nsCollector6]]]; :if ([:typeof [:toip6 $nsHost]] != "ip6") do={ :error "netsentinel: nsCollector6 must be one IPv6 prefix from /16 to /128 such as 2001:db8:1::/48, or none: it holds no address" }; :if ([:pick $nsHost 0 2] = "::") do={ :error "netsentinel: nsCollector6 must be one IPv6 prefix from /16 to /128 such as 2001:db8:1::/48, or none: it stands for everyone or for nobody" }; :if ($nsBits < 16 or $nsBits > 128) do={ :error "netsentinel: nsCollector6 must be one IPv6 prefix from /16 to /128 such as 2001:db8:1::/48, or none: it is too wide, or no prefix" } }
:if ($nsAdmins6 != "none" and !($nsAdmins6 ~ "^[0-9a-fA-F:]+/[0-9]+\$")) do={ :error "netsentinel: nsAdmins6 must be one IPv6 prefix from /16 to /128 such as 2001:db8:1::/48, or none: no other form is taken" }
:if ($nsAdmins6 != "none") do={ :local nsHost [:pick $nsAdmins6 0 [:find $nsAdmins6 "/"]]; :local nsBits [:tonum [:pick $nsAdmins6 ([:find $nsAdmins6 "/"] + 1) [:len $nsAdmins6]]]; :if ([:typeof [:toip6 $nsHost]] != "ip6") do={ :error "netsentinel: nsAdmins6 must be one IPv6 prefix from /16 to /128 such as 2001:db8:1::/48, or none: it holds no address" }; :if ([:pick $nsHost 0 2] = "::") do={ :error "netsentinel: nsAdmins6 must be one IPv6 prefix from /16 to /128 such as 2001:db8:1::/48, or none: it stands for everyone or for nobody" }; :if ($nsBits < 16 or $nsBits > 128) do={ :error "netsentinel: nsAdmins6 must be one IPv6 prefix from /16 to /128 such as 2001:db8:1::/48, or none: it is too wide, or no prefix" } }
# Whoever imports this is logged in. Sessions by MAC address and on the console have no address that
# could be shut out; API sessions are programs, the collector's among them.
:local nsOutside ""
:foreach nsSession in=[/user active find where via!="api" and via!="api-ssl" and via!="rest-api"] do={ :local nsPeer [:tostr [/user active get $nsSession address]]; :if ([:typeof [:toip $nsPeer]] = "ip") do={ :local run [:parse (":return (" . $nsPeer . " in " . $nsAdmins . ")")]; :if (![$run]) do={ :set nsOutside $nsPeer } } }
:foreach nsSession in=[/user active find where via!="api" and via!="api-ssl" and via!="rest-api"] do={ :local nsPeer [:tostr [/user active get $nsSession address]]; :local nsInside true; :if ([:typeof [:toip6 $nsPeer]] = "ip6" or [:pick $nsPeer 0 5] = "fe80:") do={ :set nsInside false; :do { :local run [:parse (":return (" . $nsPeer . " in " . $nsAdmins6 . ")")]; :set nsInside [$run] } on-error={} }; :if (!$nsInside) do={ :set nsOutside $nsPeer } }
:if ([:len $nsOutside] > 0) do={ :error "netsentinel: somebody is logged in from $nsOutside, which lies outside nsAdmins and nsAdmins6 and would be shut out: widen them, or end that session, then import the file again" }
# RouterOS 6 has no IPv6 menus while its ipv6 package is disabled.
:local nsIpv6 true
:do { :local run [:parse "/ipv6 firewall filter find"]; $run } on-error={ :set nsIpv6 false }
:if (!$nsIpv6) do={ :put "netsentinel: no IPv6 menus here (package disabled): nothing to close for IPv6" }

# --- Who may connect ----------------------------------------------------------------------------
:if ([:len [/ip firewall address-list find where comment~"^netsentinel:20 "]] = 0) do={ /ip firewall address-list add list=netsentinel-collectors address=$nsCollector comment="netsentinel:20 collector" } else={ /ip firewall address-list set [/ip firewall address-list find where comment~"^netsentinel:20 "] list=netsentinel-collectors address=$nsCollector disabled=no }
:if ([:len [/ip firewall address-list find where comment~"^netsentinel:21 "]] = 0) do={ /ip firewall address-list add list=netsentinel-admins address=$nsAdmins comment="netsentinel:21 administrators" } else={ /ip firewall address-list set [/ip firewall address-list find where comment~"^netsentinel:21 "] list=netsentinel-admins address=$nsAdmins disabled=no }
:if ($nsIpv6 and $nsCollector6 != "none") do={ :local run [:parse ":if ([:len [/ipv6 firewall address-list find where comment~\"^netsentinel:20 \"]] = 0) do={ /ipv6 firewall address-list add list=netsentinel-collectors address=$nsCollector6 comment=\"netsentinel:20 collector\" } else={ /ipv6 firewall address-list set [/ipv6 firewall address-list find where comment~\"^netsentinel:20 \"] list=netsentinel-collectors address=$nsCollector6 disabled=no }"]; $run }
:if ($nsIpv6 and $nsCollector6 = "none") do={ :local run [:parse "/ipv6 firewall address-list remove [/ipv6 firewall address-list find where comment~\"^netsentinel:20 \"]"]; $run }
:if ($nsIpv6 and $nsAdmins6 != "none") do={ :local run [:parse ":if ([:len [/ipv6 firewall address-list find where comment~\"^netsentinel:21 \"]] = 0) do={ /ipv6 firewall address-list add list=netsentinel-admins address=$nsAdmins6 comment=\"netsentinel:21 administrators\" } else={ /ipv6 firewall address-list set [/ipv6 firewall address-list find where comment~\"^netsentinel:21 \"] list=netsentinel-admins address=$nsAdmins6 disabled=no }"]; $run }
:if ($nsIpv6 and $nsAdmins6 = "none") do={ :local run [:parse "/ipv6 firewall address-list remove [/ipv6 firewall address-list find where comment~\"^netsentinel:21 \"]"]; $run }

# --- Firewall, IPv4 -----------------------------------------------------------------------------
# From the last rule to the first: the last goes above the first rule of chain input that is
# neither dynamic nor ours (or to the end when there is none), each other one above its successor.
# A rule that somebody deleted so comes back to its own place. What drops is enabled last, when
# those who are let in have their rules.
# With "watch", connections are counted and not packets: the mangle rules mark a connection once,
# at the client's first packet after the router's answer, so that a source that nobody can reach
# (it was made up) is never counted. A block covers these ports only: no routing neighbour and no
# resolver is ever cut off. Successful logins count too: that is why collectors and administrators
# are accepted above.
:local nsKnown "|netsentinel:01 accept the API from collectors|netsentinel:02 accept SSH and WinBox from administrators|netsentinel:08 accept replies|netsentinel:09 accept ICMPv6, without which IPv6 does not work|netsentinel:10 accept DHCPv6 answers from the link|netsentinel:12 drop the API from everyone else|netsentinel:11 drop SSH and WinBox from everyone else|"
:local nsAfterAdmins "netsentinel:08 accept replies"
:local nsAfterReplies "netsentinel:11 drop SSH and WinBox from everyone else"
:if ($nsElsewhere = "watch") do={ :set nsKnown "|netsentinel:01 accept the API from collectors|netsentinel:02 accept SSH and WinBox from administrators|netsentinel:08 accept replies|netsentinel:09 accept ICMPv6, without which IPv6 does not work|netsentinel:10 accept DHCPv6 answers from the link|netsentinel:12 drop the API from everyone else|netsentinel:03 drop who tried too often|netsentinel:04 fourth connection: block for a day|netsentinel:05 third connection|netsentinel:06 second connection|netsentinel:07 first connection|netsentinel:30 this connection is counted|netsentinel:31 this connection is new and answered|"; :set nsAfterAdmins "netsentinel:03 drop who tried too often"; :set nsAfterReplies "netsentinel:12 drop the API from everyone else" }
# Those that this run adds disabled.
:local nsHalfMade "|"
:if ([:len [/ip firewall filter find where comment="netsentinel:11 drop SSH and WinBox from everyone else"]] = 0) do={ :set nsHalfMade ($nsHalfMade . "netsentinel:11 drop SSH and WinBox from everyone else|") }
:if ([:len [/ip firewall filter find where comment="netsentinel:12 drop the API from everyone else"]] = 0) do={ :set nsHalfMade ($nsHalfMade . "netsentinel:12 drop the API from everyone else|") }
:if ($nsElsewhere = "watch") do={ :if ([:len [/ip firewall mangle find where comment="netsentinel:31 this connection is new and answered"]] = 0) do={ /ip firewall mangle add chain=input action=mark-connection protocol=tcp dst-port=22,8291 connection-state=established tcp-flags=ack,!syn,!rst,!fin connection-mark=no-mark new-connection-mark=netsentinel-new passthrough=yes comment="netsentinel:31 this connection is new and answered" } }
:if ($nsElsewhere = "watch") do={ :if ([:len [/ip firewall mangle find where comment="netsentinel:30 this connection is counted"]] = 0) do={ /ip firewall mangle add chain=input action=mark-connection protocol=tcp dst-port=22,8291 connection-mark=netsentinel-new new-connection-mark=netsentinel-counted passthrough=yes comment="netsentinel:30 this connection is counted" place-before=[:pick [/ip firewall mangle find where comment="netsentinel:31 this connection is new and answered"] 0] } }
:if ([:len [/ip firewall filter find where comment="netsentinel:12 drop the API from everyone else"]] = 0) do={ :local nsAnchored false; :local nsAnchor ""; :foreach nsRule in=[/ip firewall filter find where chain=input and dynamic=no] do={ :if (!$nsAnchored and [:pick [:tostr [/ip firewall filter get $nsRule comment]] 0 12] != "netsentinel:") do={ :set nsAnchor $nsRule; :set nsAnchored true } }; :if ($nsAnchored) do={ /ip firewall filter add chain=input action=drop protocol=tcp dst-port=8728,8729 disabled=yes comment="netsentinel:12 drop the API from everyone else" place-before=$nsAnchor } else={ /ip firewall filter add chain=input action=drop protocol=tcp dst-port=8728,8729 disabled=yes comment="netsentinel:12 drop the API from everyone else" } }
:if ($nsElsewhere = "drop") do={ :if ([:len [/ip firewall filter find where comment="netsentinel:11 drop SSH and WinBox from everyone else"]] = 0) do={ /ip firewall filter add chain=input action=drop protocol=tcp dst-port=22,8291 disabled=yes comment="netsentinel:11 drop SSH and WinBox from everyone else" place-before=[:pick [/ip firewall filter find where comment="netsentinel:12 drop the API from everyone else"] 0] } }
:if ([:len [/ip firewall filter find where comment="netsentinel:08 accept replies"]] = 0) do={ /ip firewall filter add chain=input action=accept connection-state=established,related,untracked comment="netsentinel:08 accept replies" place-before=[:pick [/ip firewall filter find where comment=$nsAfterReplies] 0] }
:if ($nsElsewhere = "watch") do={ :if ([:len [/ip firewall filter find where comment="netsentinel:07 first connection"]] = 0) do={ /ip firewall filter add chain=input action=add-src-to-address-list protocol=tcp dst-port=22,8291 connection-state=established connection-mark=netsentinel-new address-list=netsentinel-try1 address-list-timeout=5m comment="netsentinel:07 first connection" place-before=[:pick [/ip firewall filter find where comment="netsentinel:08 accept replies"] 0] } }
:if ($nsElsewhere = "watch") do={ :if ([:len [/ip firewall filter find where comment="netsentinel:06 second connection"]] = 0) do={ /ip firewall filter add chain=input action=add-src-to-address-list protocol=tcp dst-port=22,8291 connection-state=established connection-mark=netsentinel-new src-address-list=netsentinel-try1 address-list=netsentinel-try2 address-list-timeout=15m comment="netsentinel:06 second connection" place-before=[:pick [/ip firewall filter find where comment="netsentinel:07 first connection"] 0] } }
:if ($nsElsewhere = "watch") do={ :if ([:len [/ip firewall filter find where comment="netsentinel:05 third connection"]] = 0) do={ /ip firewall filter add chain=input action=add-src-to-address-list protocol=tcp dst-port=22,8291 connection-state=established connection-mark=netsentinel-new src-address-list=netsentinel-try2 address-list=netsentinel-try3 address-list-timeout=1h comment="netsentinel:05 third connection" place-before=[:pick [/ip firewall filter find where comment="netsentinel:06 second connection"] 0] } }
:if ($nsElsewhere = "watch") do={ :if ([:len [/ip firewall filter find where comment="netsentinel:04 fourth connection: block for a day"]] = 0) do={ /ip firewall filter add chain=input action=add-src-to-address-list protocol=tcp dst-port=22,8291 connection-state=established connection-mark=netsentinel-new src-address-list=netsentinel-try3 address-list=netsentinel-blocked address-list-timeout=1d comment="netsentinel:04 fourth connection: block for a day" place-before=[:pick [/ip firewall filter find where comment="netsentinel:05 third connection"] 0] } }
:if ($nsElsewhere = "watch") do={ :if ([:len [/ip firewall filter find where comment="netsentinel:03 drop who tried too often"]] = 0) do={ /ip firewall filter add chain=input action=drop protocol=tcp dst-port=22,8291,8728,8729 src-address-list=netsentinel-blocked comment="netsentinel:03 drop who tried too often" place-before=[:pick [/ip firewall filter find where comment="netsentinel:04 fourth connection: block for a day"] 0] } }
:if ([:len [/ip firewall filter find where comment="netsentinel:02 accept SSH and WinBox from administrators"]] = 0) do={ /ip firewall filter add chain=input action=accept protocol=tcp dst-port=22,8291 src-address-list=netsentinel-admins comment="netsentinel:02 accept SSH and WinBox from administrators" place-before=[:pick [/ip firewall filter find where comment=$nsAfterAdmins] 0] }
:if ([:len [/ip firewall filter find where comment="netsentinel:01 accept the API from collectors"]] = 0) do={ /ip firewall filter add chain=input action=accept protocol=tcp dst-port=8728,8729 src-address-list=netsentinel-collectors comment="netsentinel:01 accept the API from collectors" place-before=[:pick [/ip firewall filter find where comment="netsentinel:02 accept SSH and WinBox from administrators"] 0] }
:foreach nsRule in=[/ip firewall filter find where comment~"^netsentinel:" and disabled=yes] do={ :if ([:typeof [:find $nsHalfMade ("|" . [:tostr [/ip firewall filter get $nsRule comment]] . "|")]] = "nil") do={ :put ("netsentinel: /ip firewall filter: a rule was disabled and is enabled again: " . [/ip firewall filter get $nsRule comment]) }; /ip firewall filter enable $nsRule }
:foreach nsRule in=[/ip firewall filter find where comment~"^netsentinel:"] do={ :if ([:typeof [:find $nsKnown ("|" . [:tostr [/ip firewall filter get $nsRule comment]] . "|")]] = "nil") do={ /ip firewall filter remove $nsRule } }
:foreach nsRule in=[/ip firewall mangle find where comment~"^netsentinel:" and disabled=yes] do={ :if ([:typeof [:find $nsHalfMade ("|" . [:tostr [/ip firewall mangle get $nsRule comment]] . "|")]] = "nil") do={ :put ("netsentinel: /ip firewall mangle: a rule was disabled and is enabled again: " . [/ip firewall mangle get $nsRule comment]) }; /ip firewall mangle enable $nsRule }
:foreach nsRule in=[/ip firewall mangle find where comment~"^netsentinel:"] do={ :if ([:typeof [:find $nsKnown ("|" . [:tostr [/ip firewall mangle get $nsRule comment]] . "|")]] = "nil") do={ /ip firewall mangle remove $nsRule } }

# --- Firewall, IPv6: the same rules, and 09 and 10 ----------------------------------------------
:set nsHalfMade "|"
:if ($nsIpv6) do={ :local run [:parse ":return [:len [/ipv6 firewall filter find where comment=\"netsentinel:11 drop SSH and WinBox from everyone else\"]]"]; :if ([$run] = 0) do={ :set nsHalfMade ($nsHalfMade . "netsentinel:11 drop SSH and WinBox from everyone else|") } }
:if ($nsIpv6) do={ :local run [:parse ":return [:len [/ipv6 firewall filter find where comment=\"netsentinel:12 drop the API from everyone else\"]]"]; :if ([$run] = 0) do={ :set nsHalfMade ($nsHalfMade . "netsentinel:12 drop the API from everyone else|") } }
:if ($nsIpv6 and $nsElsewhere = "watch") do={ :local run [:parse ":if ([:len [/ipv6 firewall mangle find where comment=\"netsentinel:31 this connection is new and answered\"]] = 0) do={ /ipv6 firewall mangle add chain=input action=mark-connection protocol=tcp dst-port=22,8291 connection-state=established tcp-flags=ack,!syn,!rst,!fin connection-mark=no-mark new-connection-mark=netsentinel-new passthrough=yes comment=\"netsentinel:31 this connection is new and answered\" }"]; $run }
:if ($nsIpv6 and $nsElsewhere = "watch") do={ :local run [:parse ":if ([:len [/ipv6 firewall mangle find where comment=\"netsentinel:30 this connection is counted\"]] = 0) do={ /ipv6 firewall mangle add chain=input action=mark-connection protocol=tcp dst-port=22,8291 connection-mark=netsentinel-new new-connection-mark=netsentinel-counted passthrough=yes comment=\"netsentinel:30 this connection is counted\" place-before=[:pick [/ipv6 firewall mangle find where comment=\"netsentinel:31 this connection is new and answered\"] 0] }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:12 drop the API from everyone else\"]] = 0) do={ :local nsAnchored false; :local nsAnchor \"\"; :foreach nsRule in=[/ipv6 firewall filter find where chain=input and dynamic=no] do={ :if (!\$nsAnchored and [:pick [:tostr [/ipv6 firewall filter get \$nsRule comment]] 0 12] != \"netsentinel:\") do={ :set nsAnchor \$nsRule; :set nsAnchored true } }; :if (\$nsAnchored) do={ /ipv6 firewall filter add chain=input action=drop protocol=tcp dst-port=8728,8729 disabled=yes comment=\"netsentinel:12 drop the API from everyone else\" place-before=\$nsAnchor } else={ /ipv6 firewall filter add chain=input action=drop protocol=tcp dst-port=8728,8729 disabled=yes comment=\"netsentinel:12 drop the API from everyone else\" } }"]; $run }
:if ($nsIpv6 and $nsElsewhere = "drop") do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:11 drop SSH and WinBox from everyone else\"]] = 0) do={ /ipv6 firewall filter add chain=input action=drop protocol=tcp dst-port=22,8291 disabled=yes comment=\"netsentinel:11 drop SSH and WinBox from everyone else\" place-before=[:pick [/ipv6 firewall filter find where comment=\"netsentinel:12 drop the API from everyone else\"] 0] }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:10 accept DHCPv6 answers from the link\"]] = 0) do={ /ipv6 firewall filter add chain=input action=accept protocol=udp dst-port=546 src-address=fe80::/10 comment=\"netsentinel:10 accept DHCPv6 answers from the link\" place-before=[:pick [/ipv6 firewall filter find where comment=\"$nsAfterReplies\"] 0] }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:09 accept ICMPv6, without which IPv6 does not work\"]] = 0) do={ /ipv6 firewall filter add chain=input action=accept protocol=icmpv6 comment=\"netsentinel:09 accept ICMPv6, without which IPv6 does not work\" place-before=[:pick [/ipv6 firewall filter find where comment=\"netsentinel:10 accept DHCPv6 answers from the link\"] 0] }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:08 accept replies\"]] = 0) do={ /ipv6 firewall filter add chain=input action=accept connection-state=established,related,untracked comment=\"netsentinel:08 accept replies\" place-before=[:pick [/ipv6 firewall filter find where comment=\"netsentinel:09 accept ICMPv6, without which IPv6 does not work\"] 0] }"]; $run }
:if ($nsIpv6 and $nsElsewhere = "watch") do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:07 first connection\"]] = 0) do={ /ipv6 firewall filter add chain=input action=add-src-to-address-list protocol=tcp dst-port=22,8291 connection-state=established connection-mark=netsentinel-new address-list=netsentinel-try1 address-list-timeout=5m comment=\"netsentinel:07 first connection\" place-before=[:pick [/ipv6 firewall filter find where comment=\"netsentinel:08 accept replies\"] 0] }"]; $run }
:if ($nsIpv6 and $nsElsewhere = "watch") do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:06 second connection\"]] = 0) do={ /ipv6 firewall filter add chain=input action=add-src-to-address-list protocol=tcp dst-port=22,8291 connection-state=established connection-mark=netsentinel-new src-address-list=netsentinel-try1 address-list=netsentinel-try2 address-list-timeout=15m comment=\"netsentinel:06 second connection\" place-before=[:pick [/ipv6 firewall filter find where comment=\"netsentinel:07 first connection\"] 0] }"]; $run }
:if ($nsIpv6 and $nsElsewhere = "watch") do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:05 third connection\"]] = 0) do={ /ipv6 firewall filter add chain=input action=add-src-to-address-list protocol=tcp dst-port=22,8291 connection-state=established connection-mark=netsentinel-new src-address-list=netsentinel-try2 address-list=netsentinel-try3 address-list-timeout=1h comment=\"netsentinel:05 third connection\" place-before=[:pick [/ipv6 firewall filter find where comment=\"netsentinel:06 second connection\"] 0] }"]; $run }
:if ($nsIpv6 and $nsElsewhere = "watch") do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:04 fourth connection: block for a day\"]] = 0) do={ /ipv6 firewall filter add chain=input action=add-src-to-address-list protocol=tcp dst-port=22,8291 connection-state=established connection-mark=netsentinel-new src-address-list=netsentinel-try3 address-list=netsentinel-blocked address-list-timeout=1d comment=\"netsentinel:04 fourth connection: block for a day\" place-before=[:pick [/ipv6 firewall filter find where comment=\"netsentinel:05 third connection\"] 0] }"]; $run }
:if ($nsIpv6 and $nsElsewhere = "watch") do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:03 drop who tried too often\"]] = 0) do={ /ipv6 firewall filter add chain=input action=drop protocol=tcp dst-port=22,8291,8728,8729 src-address-list=netsentinel-blocked comment=\"netsentinel:03 drop who tried too often\" place-before=[:pick [/ipv6 firewall filter find where comment=\"netsentinel:04 fourth connection: block for a day\"] 0] }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:02 accept SSH and WinBox from administrators\"]] = 0) do={ /ipv6 firewall filter add chain=input action=accept protocol=tcp dst-port=22,8291 src-address-list=netsentinel-admins comment=\"netsentinel:02 accept SSH and WinBox from administrators\" place-before=[:pick [/ipv6 firewall filter find where comment=\"$nsAfterAdmins\"] 0] }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":if ([:len [/ipv6 firewall filter find where comment=\"netsentinel:01 accept the API from collectors\"]] = 0) do={ /ipv6 firewall filter add chain=input action=accept protocol=tcp dst-port=8728,8729 src-address-list=netsentinel-collectors comment=\"netsentinel:01 accept the API from collectors\" place-before=[:pick [/ipv6 firewall filter find where comment=\"netsentinel:02 accept SSH and WinBox from administrators\"] 0] }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":foreach nsRule in=[/ipv6 firewall filter find where comment~\"^netsentinel:\" and disabled=yes] do={ :if ([:typeof [:find \"$nsHalfMade\" (\"|\" . [:tostr [/ipv6 firewall filter get \$nsRule comment]] . \"|\")]] = \"nil\") do={ :put (\"netsentinel: /ipv6 firewall filter: a rule was disabled and is enabled again: \" . [/ipv6 firewall filter get \$nsRule comment]) }; /ipv6 firewall filter enable \$nsRule }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":foreach nsRule in=[/ipv6 firewall filter find where comment~\"^netsentinel:\"] do={ :if ([:typeof [:find \"$nsKnown\" (\"|\" . [:tostr [/ipv6 firewall filter get \$nsRule comment]] . \"|\")]] = \"nil\") do={ /ipv6 firewall filter remove \$nsRule } }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":foreach nsRule in=[/ipv6 firewall mangle find where comment~\"^netsentinel:\" and disabled=yes] do={ :if ([:typeof [:find \"$nsHalfMade\" (\"|\" . [:tostr [/ipv6 firewall mangle get \$nsRule comment]] . \"|\")]] = \"nil\") do={ :put (\"netsentinel: /ipv6 firewall mangle: a rule was disabled and is enabled again: \" . [/ipv6 firewall mangle get \$nsRule comment]) }; /ipv6 firewall mangle enable \$nsRule }"]; $run }
:if ($nsIpv6) do={ :local run [:parse ":foreach nsRule in=[/ipv6 firewall mangle find where comment~\"^netsentinel:\"] do={ :if ([:typeof [:find \"$nsKnown\" (\"|\" . [:tostr [/ipv6 firewall mangle get \$nsRule comment]] . \"|\")]] = \"nil\") do={ /ipv6 firewall mangle remove \$nsRule } }"]; $run }

# --- Certificate of the API ---------------------------------------------------------------------
:if ([:len [/certificate find where name="netsentinel-api"]] = 0) do={ /certificate add name="netsentinel-api" common-name=$nsRouterName subject-alt-name=$nsRouterSan key-size=2048 days-valid=3650 key-usage=digital-signature,key-encipherment,tls-server }
:if ([:len [/certificate get [/certificate find where name="netsentinel-api"] fingerprint]] = 0) do={ /certificate sign [/certificate find where name="netsentinel-api"] }
:for nsSecond from=1 to=60 do={ :if ([:len [/certificate get [/certificate find where name="netsentinel-api"] fingerprint]] = 0) do={ :delay 1s } }
:if ([:len [/certificate get [/certificate find where name="netsentinel-api"] fingerprint]] = 0) do={ :error "netsentinel: the certificate netsentinel-api is not signed after a minute: sign it by hand, then import the file again" }

# --- The collector's account --------------------------------------------------------------------
# A set changes only the policies it names, so every one is named: those that all versions have, then
# each that some have, by itself. One that this version does not know needs no taking away.
:if ([:len [/user group find where name=$nsGroup]] = 0) do={ /user group add name=$nsGroup policy=read,api comment="netsentinel: read-only" }
/user group set [/user group find where name=$nsGroup] policy=!local,!telnet,!ssh,!ftp,!reboot,read,!write,!policy,!test,!winbox,!password,!web,!sniff,!sensitive,api
:do { :local run [:parse "/user group set [/user group find where name=\"$nsGroup\"] policy=!romon"]; $run } on-error={}
:do { :local run [:parse "/user group set [/user group find where name=\"$nsGroup\"] policy=!rest-api"]; $run } on-error={}
:do { :local run [:parse "/user group set [/user group find where name=\"$nsGroup\"] policy=!dude"]; $run } on-error={}
:do { :local run [:parse "/user group set [/user group find where name=\"$nsGroup\"] policy=!tikapp"]; $run } on-error={}
:foreach nsPolicy in=[/user group get [/user group find where name=$nsGroup] policy] do={ :if ([:pick $nsPolicy 0 1] != "!" and $nsPolicy != "read" and $nsPolicy != "api") do={ :error "netsentinel: group $nsGroup still holds $nsPolicy: take it away by hand, then import the file again" } }
:if ([:len [/user find where name=$nsUser]] = 0) do={ /user add name=$nsUser group=$nsGroup address=$nsCollector password=$nsPassword comment="netsentinel: collector" }
:do { :local run [:parse "/user set [/user find where name=\"$nsUser\"] group=\"$nsGroup\" address=$nsFrom disabled=no"]; $run } on-error={ :error "netsentinel: user $nsUser was not set: check nsCollector and nsCollector6" }
# What did not take is said now, and not found out later.
:if ([:tostr [/user get [/user find where name=$nsUser] group]] != $nsGroup) do={ :error "netsentinel: user $nsUser is not in group $nsGroup: set it by hand, then import the file again" }
:if ([:len [:tostr [/user get [/user find where name=$nsUser] address]]] = 0) do={ :error "netsentinel: user $nsUser may log in from anywhere: set its address by hand, then import the file again" }

# --- Services -----------------------------------------------------------------------------------
# Newer versions also list live connections here, under the names of the services.
:foreach nsService in=[/ip service find where name="api-ssl" and dynamic!=yes] do={ :do { :local run [:parse "/ip service set $nsService disabled=no port=8729 certificate=netsentinel-api tls-version=only-1.2 address=$nsFrom"]; $run } on-error={ :error "netsentinel: service api-ssl was not set: check nsCollector and nsCollector6" } }
:if ([:len [/ip service find where name="api-ssl" and disabled=no and dynamic!=yes]] = 0) do={ :error "netsentinel: service api-ssl is not on: look at /ip service print, then import the file again" }
:foreach nsService in=[/ip service find where name="api" and dynamic!=yes] do={ /ip service set $nsService disabled=yes }
:if ([:len [/ip service find where name="api" and disabled=no and dynamic!=yes]] > 0) do={ :error "netsentinel: service api is still on: look at /ip service print, then import the file again" }
:foreach nsService in=[/ip service find where name="telnet" and dynamic!=yes] do={ /ip service set $nsService disabled=yes }
:if ([:len [/ip service find where name="telnet" and disabled=no and dynamic!=yes]] > 0) do={ :error "netsentinel: service telnet is still on: look at /ip service print, then import the file again" }
:foreach nsService in=[/ip service find where name="ftp" and dynamic!=yes] do={ /ip service set $nsService disabled=yes }
:if ([:len [/ip service find where name="ftp" and disabled=no and dynamic!=yes]] > 0) do={ :error "netsentinel: service ftp is still on: look at /ip service print, then import the file again" }
:foreach nsService in=[/ip service find where name="www" and dynamic!=yes] do={ /ip service set $nsService disabled=yes }
:if ([:len [/ip service find where name="www" and disabled=no and dynamic!=yes]] > 0) do={ :error "netsentinel: service www is still on: look at /ip service print, then import the file again" }
:foreach nsService in=[/ip service find where name="ssh" and dynamic!=yes] do={ :do { :local run [:parse "/ip service set $nsService address=$nsManage"]; $run } on-error={ :error "netsentinel: service ssh was not set: check nsAdmins and nsAdmins6" }; :if ([:len [:tostr [/ip service get $nsService address]]] = 0) do={ :error "netsentinel: service ssh is open to everyone: set its address by hand, then import the file again" } }
:foreach nsService in=[/ip service find where name="winbox" and dynamic!=yes] do={ :do { :local run [:parse "/ip service set $nsService address=$nsManage"]; $run } on-error={ :error "netsentinel: service winbox was not set: check nsAdmins and nsAdmins6" }; :if ([:len [:tostr [/ip service get $nsService address]]] = 0) do={ :error "netsentinel: service winbox is open to everyone: set its address by hand, then import the file again" } }
:foreach nsService in=[/ip service find where name="www-ssl" and dynamic!=yes] do={ :do { :local run [:parse "/ip service set $nsService address=$nsManage"]; $run } on-error={ :error "netsentinel: service www-ssl was not set: check nsAdmins and nsAdmins6" }; :if ([:len [:tostr [/ip service get $nsService address]]] = 0) do={ :error "netsentinel: service www-ssl is open to everyone: set its address by hand, then import the file again" } }

# A later version may bring a service that this file does not know.
:foreach nsService in=[/ip service find where name!="api-ssl" and name!="ssh" and name!="winbox" and name!="www-ssl" and disabled=no and dynamic!=yes] do={ :put ("netsentinel: service " . [/ip service get $nsService name] . " was on and is closed"); /ip service set $nsService disabled=yes }
:if ([:len [/ip service find where name!="api-ssl" and name!="ssh" and name!="winbox" and name!="www-ssl" and disabled=no and dynamic!=yes]] > 0) do={ :error "netsentinel: a service that this file does not know is still on: look at /ip service print, then import the file again" }

# --- The rest of the posture: a menu that this router lacks is named and passed over ------------
:do { :local run [:parse "/ip ssh set strong-crypto=yes"]; $run } on-error={ :put "netsentinel: /ip ssh could not be set here: check it by hand" }
:do { :local run [:parse "/ip dns set allow-remote-requests=$nsServeDns"]; $run } on-error={ :put "netsentinel: /ip dns could not be set here: check it by hand" }
:do { :local run [:parse "/ip proxy set enabled=no"]; $run } on-error={ :put "netsentinel: /ip proxy could not be set here: check it by hand" }
:do { :local run [:parse "/ip socks set enabled=no"]; $run } on-error={ :put "netsentinel: /ip socks could not be set here: check it by hand" }
:do { :local run [:parse "/ip upnp set enabled=no"]; $run } on-error={ :put "netsentinel: /ip upnp could not be set here: check it by hand" }
:do { :local run [:parse "/ip cloud set ddns-enabled=no"]; $run } on-error={ :put "netsentinel: /ip cloud could not be set here: check it by hand" }
:do { :local run [:parse "/ip neighbor discovery-settings set discover-interface-list=$nsMacList"]; $run } on-error={ :put "netsentinel: /ip neighbor discovery-settings could not be set here: check it by hand" }
:do { :local run [:parse "/tool mac-server set allowed-interface-list=$nsMacList"]; $run } on-error={ :put "netsentinel: /tool mac-server could not be set here: check it by hand" }
:do { :local run [:parse "/tool mac-server mac-winbox set allowed-interface-list=$nsMacList"]; $run } on-error={ :put "netsentinel: /tool mac-server mac-winbox could not be set here: check it by hand" }
:do { :local run [:parse "/tool mac-server ping set enabled=no"]; $run } on-error={ :put "netsentinel: /tool mac-server ping could not be set here: check it by hand" }
:do { :local run [:parse "/tool bandwidth-server set enabled=no"]; $run } on-error={ :put "netsentinel: /tool bandwidth-server could not be set here: check it by hand" }
:do { :local run [:parse "/tool romon set enabled=no"]; $run } on-error={ :put "netsentinel: /tool romon could not be set here: check it by hand" }
:do { :local run [:parse "/user settings set minimum-password-length=12"]; $run } on-error={ :put "netsentinel: /user settings could not be set here: check it by hand" }
# Every community, whatever its name: read-only and from one prefix. What none of them is asked for is
# a person's to remove.
:if ($nsSnmp = "none") do={ /snmp set enabled=no } else={ :foreach nsCommunity in=[/snmp community find] do={ /snmp community set $nsCommunity addresses=$nsSnmp write-access=no } }
:if ($nsSnmp != "none") do={ :foreach nsCommunity in=[/snmp community find where name="public"] do={ /snmp community set $nsCommunity read-access=yes } }
:local nsSnmpOn [:tostr [/snmp get enabled]]
:if ($nsSnmp = "none" and ($nsSnmpOn = "yes" or $nsSnmpOn = "true")) do={ :error "netsentinel: SNMP is still on: switch it off by hand, then import the file again" }
:if ($nsSnmp != "none") do={ :foreach nsCommunity in=[/snmp community find] do={ :local nsName [:tostr [/snmp community get $nsCommunity name]]; :if ([:len [:tostr [/snmp community get $nsCommunity addresses]]] = 0) do={ :error "netsentinel: SNMP community $nsName is open to everyone: set its addresses by hand, then import the file again" }; :if ([:tostr [/snmp community get $nsCommunity write-access]] = "yes" or [:tostr [/snmp community get $nsCommunity write-access]] = "true") do={ :error "netsentinel: SNMP community $nsName may still write: take that away by hand, then import the file again" }; :if ($nsName != "public") do={ :put "netsentinel: SNMP community $nsName answers $nsSnmp only, and cannot write: remove it if nobody asks by it" } } }

# --- What only a person can do ------------------------------------------------------------------
:if ([:len [/user find where name="admin" and disabled=no]] > 0) do={ :put "netsentinel: WARNING: user admin is enabled: make a personal account, then disable it" }
:put "netsentinel: look for a newer RouterOS with /system package update check-for-updates"
:put ("netsentinel: done. Pin this certificate in the collector: " . [/certificate get [/certificate find where name="netsentinel-api"] fingerprint])
