// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

/// The words and sentences that the tasks are made of, written once: `examples/models/pretrain.py` reads the string
/// literals of this file, so that the embedded models know exactly these words. Keep every list in the plain form
/// `name = std::to_array<type>({ literals });`. Which words a task uses is decided by the tokenizer of the loaded model
/// (see ioi.hpp and ccc.hpp). The names, some places, objects and templates follow the lists of the IOI paper's code
/// (redwoodresearch/Easy-Transformer, MIT); countries and capitals are facts.

namespace trimtab::task::words {

inline constexpr auto names = std::to_array<std::string_view>(
    {"Aaron",     "Adam",        "Alexander", "Alicia",   "Allison",  "Amanda",  "Amber",    "Amy",     "Andrea",
     "Andrew",    "Angela",      "Anthony",   "Ashley",   "Benjamin", "Bradley", "Brandon",  "Brian",   "Brittany",
     "Charles",   "Christopher", "Cody",      "Courtney", "Crystal",  "Daniel",  "David",    "Dustin",  "Elizabeth",
     "Emily",     "Eric",        "Erin",      "Gregory",  "Heather",  "Jacob",   "James",    "Jamie",   "Jason",
     "Jeffrey",   "Jennifer",    "Jeremy",    "Jesse",    "Jessica",  "John",    "Jonathan", "Joseph",  "Joshua",
     "Justin",    "Katherine",   "Katie",     "Kelly",    "Kenneth",  "Kevin",   "Kimberly", "Kristen", "Kyle",
     "Laura",     "Lauren",      "Lindsey",   "Lisa",     "Mark",     "Mary",    "Matthew",  "Megan",   "Melissa",
     "Michael",   "Michelle",    "Nathan",    "Nicholas", "Nicole",   "Patrick", "Paul",     "Rachel",  "Rebecca",
     "Richard",   "Robert",      "Ryan",      "Samantha", "Samuel",   "Sarah",   "Scott",    "Sean",    "Shannon",
     "Stephanie", "Steven",      "Thomas",    "Tiffany",  "Timothy",  "Travis",  "Tyler",    "Vanessa", "William"});

inline constexpr auto places = std::to_array<std::string_view>(
    {"store",   "garden", "restaurant", "school", "hospital", "office",  "house",   "station", "park", "market",
     "library", "museum", "beach",      "church", "hotel",    "theater", "airport", "bank",    "farm", "cafe"});

/// All begin with a consonant: the templates say "a [OBJECT]".
inline constexpr auto objects = std::to_array<std::string_view>(
    {"ring",   "kiss", "bone",   "basketball", "computer", "necklace", "drink", "snack",  "book", "cake",
     "letter", "gift", "ticket", "key",        "camera",   "map",      "phone", "flower", "coin", "hat"});

/// [FIRST] and [SECOND] are two people in the order in which they come, [SUBJECT] is the one of them who acts, and the
/// other one, the indirect object, is the correct next word. No template begins with a name: there it would have no
/// leading space and thus be another token. The first ten are of one length, 14 tokens for GPT-2 and Pythia.
inline constexpr auto ioi_templates = std::to_array<std::string_view>(
    {"When [FIRST] and [SECOND] went to the [PLACE], [SUBJECT] gave a [OBJECT] to",
     "After [FIRST] and [SECOND] went to the [PLACE], [SUBJECT] gave a [OBJECT] to",
     "While [FIRST] and [SECOND] were at the [PLACE], [SUBJECT] handed a [OBJECT] to",
     "Once [FIRST] and [SECOND] came to the [PLACE], [SUBJECT] passed a [OBJECT] to",
     "As [FIRST] and [SECOND] walked to the [PLACE], [SUBJECT] offered a [OBJECT] to",
     "Before [FIRST] and [SECOND] left for the [PLACE], [SUBJECT] gave a [OBJECT] to",
     "Today [FIRST] and [SECOND] met at the [PLACE]. [SUBJECT] showed a [OBJECT] to",
     "Yesterday [FIRST] and [SECOND] sat in the [PLACE]. [SUBJECT] sold a [OBJECT] to",
     "Later [FIRST] and [SECOND] met near the [PLACE]. [SUBJECT] handed a [OBJECT] to",
     "Friends [FIRST] and [SECOND] went to the [PLACE]. [SUBJECT] passed a [OBJECT] to",
     "When [FIRST] met [SECOND], [SUBJECT] spoke to",
     "Then, [FIRST] and [SECOND] went to the [PLACE]. [SUBJECT] gave a [OBJECT] to",
     "Then, [FIRST] and [SECOND] had a long argument, and afterwards [SUBJECT] said to",
     "While [FIRST] and [SECOND] were working at the [PLACE], [SUBJECT] gave a [OBJECT] to",
     "The [PLACE] [FIRST] and [SECOND] went to had a [OBJECT]. [SUBJECT] gave it to",
     "Friends [FIRST] and [SECOND] found a [OBJECT] at the [PLACE]. [SUBJECT] gave it to",
     "When [FIRST] and [SECOND] got a [OBJECT] at the [PLACE], [SUBJECT] decided to give it to",
     "After the lunch, [FIRST] and [SECOND] went to the [PLACE]. [SUBJECT] gave a [OBJECT] to",
     "Then in the morning, [FIRST] and [SECOND] went to the [PLACE]. [SUBJECT] gave a [OBJECT] to",
     "Then, [FIRST] and [SECOND] had a lot of fun at the [PLACE]. [SUBJECT] gave a [OBJECT] to",
     "Then, [FIRST] and [SECOND] were thinking about going to the [PLACE]. [SUBJECT] wanted to give a [OBJECT] to"});

struct country_capital {
  std::string_view country;
  std::string_view capital;
};

inline constexpr auto capitals = std::to_array<country_capital>({{"Afghanistan", "Kabul"},
                                                                 {"Albania", "Tirana"},
                                                                 {"Algeria", "Algiers"},
                                                                 {"Angola", "Luanda"},
                                                                 {"Armenia", "Yerevan"},
                                                                 {"Australia", "Canberra"},
                                                                 {"Austria", "Vienna"},
                                                                 {"Azerbaijan", "Baku"},
                                                                 {"Bahamas", "Nassau"},
                                                                 {"Bahrain", "Manama"},
                                                                 {"Bangladesh", "Dhaka"},
                                                                 {"Barbados", "Bridgetown"},
                                                                 {"Belarus", "Minsk"},
                                                                 {"Belgium", "Brussels"},
                                                                 {"Belize", "Belmopan"},
                                                                 {"Bhutan", "Thimphu"},
                                                                 {"Botswana", "Gaborone"},
                                                                 {"Brazil", "Brasília"},
                                                                 {"Bulgaria", "Sofia"},
                                                                 {"Cameroon", "Yaoundé"},
                                                                 {"Canada", "Ottawa"},
                                                                 {"Chile", "Santiago"},
                                                                 {"China", "Beijing"},
                                                                 {"Colombia", "Bogotá"},
                                                                 {"Comoros", "Moroni"},
                                                                 {"Croatia", "Zagreb"},
                                                                 {"Cuba", "Havana"},
                                                                 {"Cyprus", "Nicosia"},
                                                                 {"Czechia", "Prague"},
                                                                 {"Denmark", "Copenhagen"},
                                                                 {"Dominica", "Roseau"},
                                                                 {"Ecuador", "Quito"},
                                                                 {"Egypt", "Cairo"},
                                                                 {"Eritrea", "Asmara"},
                                                                 {"Estonia", "Tallinn"},
                                                                 {"Eswatini", "Mbabane"},
                                                                 {"Fiji", "Suva"},
                                                                 {"Finland", "Helsinki"},
                                                                 {"France", "Paris"},
                                                                 {"Gabon", "Libreville"},
                                                                 {"Gambia", "Banjul"},
                                                                 {"Georgia", "Tbilisi"},
                                                                 {"Germany", "Berlin"},
                                                                 {"Ghana", "Accra"},
                                                                 {"Greece", "Athens"},
                                                                 {"Guinea", "Conakry"},
                                                                 {"Guyana", "Georgetown"},
                                                                 {"Honduras", "Tegucigalpa"},
                                                                 {"Hungary", "Budapest"},
                                                                 {"Iceland", "Reykjavik"},
                                                                 {"Indonesia", "Jakarta"},
                                                                 {"Iran", "Tehran"},
                                                                 {"Iraq", "Baghdad"},
                                                                 {"Ireland", "Dublin"},
                                                                 {"Italy", "Rome"},
                                                                 {"Jamaica", "Kingston"},
                                                                 {"Japan", "Tokyo"},
                                                                 {"Jordan", "Amman"},
                                                                 {"Kazakhstan", "Astana"},
                                                                 {"Kenya", "Nairobi"},
                                                                 {"Kyrgyzstan", "Bishkek"},
                                                                 {"Laos", "Vientiane"},
                                                                 {"Latvia", "Riga"},
                                                                 {"Lebanon", "Beirut"},
                                                                 {"Lesotho", "Maseru"},
                                                                 {"Liberia", "Monrovia"},
                                                                 {"Libya", "Tripoli"},
                                                                 {"Liechtenstein", "Vaduz"},
                                                                 {"Lithuania", "Vilnius"},
                                                                 {"Madagascar", "Antananarivo"},
                                                                 {"Malawi", "Lilongwe"},
                                                                 {"Maldives", "Malé"},
                                                                 {"Mali", "Bamako"},
                                                                 {"Malta", "Valletta"},
                                                                 {"Mauritania", "Nouakchott"},
                                                                 {"Moldova", "Chișinău"},
                                                                 {"Mongolia", "Ulaanbaatar"},
                                                                 {"Montenegro", "Podgorica"},
                                                                 {"Morocco", "Rabat"},
                                                                 {"Mozambique", "Maputo"},
                                                                 {"Myanmar", "Naypyidaw"},
                                                                 {"Namibia", "Windhoek"},
                                                                 {"Nepal", "Kathmandu"},
                                                                 {"Netherlands", "Amsterdam"},
                                                                 {"New Zealand", "Wellington"},
                                                                 {"Nicaragua", "Managua"},
                                                                 {"Niger", "Niamey"},
                                                                 {"Nigeria", "Abuja"},
                                                                 {"North Korea", "Pyongyang"},
                                                                 {"North Macedonia", "Skopje"},
                                                                 {"Norway", "Oslo"},
                                                                 {"Oman", "Muscat"},
                                                                 {"Pakistan", "Islamabad"},
                                                                 {"Paraguay", "Asunción"},
                                                                 {"Peru", "Lima"},
                                                                 {"Philippines", "Manila"},
                                                                 {"Poland", "Warsaw"},
                                                                 {"Portugal", "Lisbon"},
                                                                 {"Qatar", "Doha"},
                                                                 {"Romania", "Bucharest"},
                                                                 {"Russia", "Moscow"},
                                                                 {"Rwanda", "Kigali"},
                                                                 {"Samoa", "Apia"},
                                                                 {"Saudi Arabia", "Riyadh"},
                                                                 {"Senegal", "Dakar"},
                                                                 {"Serbia", "Belgrade"},
                                                                 {"Seychelles", "Victoria"},
                                                                 {"Sierra Leone", "Freetown"},
                                                                 {"Slovakia", "Bratislava"},
                                                                 {"Slovenia", "Ljubljana"},
                                                                 {"Somalia", "Mogadishu"},
                                                                 {"South Korea", "Seoul"},
                                                                 {"Spain", "Madrid"},
                                                                 {"Sudan", "Khartoum"},
                                                                 {"Suriname", "Paramaribo"},
                                                                 {"Sweden", "Stockholm"},
                                                                 {"Switzerland", "Bern"},
                                                                 {"Syria", "Damascus"},
                                                                 {"Tajikistan", "Dushanbe"},
                                                                 {"Tanzania", "Dodoma"},
                                                                 {"Thailand", "Bangkok"},
                                                                 {"Togo", "Lomé"},
                                                                 {"Tunisia", "Tunis"},
                                                                 {"Turkey", "Ankara"},
                                                                 {"Turkmenistan", "Ashgabat"},
                                                                 {"Tuvalu", "Funafuti"},
                                                                 {"Uganda", "Kampala"},
                                                                 {"Ukraine", "Kyiv"},
                                                                 {"United Kingdom", "London"},
                                                                 {"Uruguay", "Montevideo"},
                                                                 {"Uzbekistan", "Tashkent"},
                                                                 {"Venezuela", "Caracas"},
                                                                 {"Vietnam", "Hanoi"},
                                                                 {"Zambia", "Lusaka"},
                                                                 {"Zimbabwe", "Harare"}});

/// Country-capital conflicts. [SUBJECT] is what the prompt asks about, [CLAIM] the context's false answer, [OTHER] and
/// [OTHER_ANSWER] a true pair that distracts. The first list of a form makes the sets of equal length, the `other` one
/// the set of other lengths.
inline constexpr auto capital_templates =
    std::to_array<std::string_view>({"The capital of [SUBJECT] is [CLAIM]. Q: What is the capital of [SUBJECT]? A:"});

inline constexpr auto capital_other_templates = std::to_array<std::string_view>(
    {"The capital of [SUBJECT] is [CLAIM]. The capital of [SUBJECT] is",
     "It is said that the capital of [SUBJECT] is [CLAIM]. Q: What is the capital of [SUBJECT]? A:",
     "The capital of [OTHER] is [OTHER_ANSWER]. The capital of [SUBJECT] is [CLAIM]. "
     "Q: What is the capital of [SUBJECT]? A:",
     "The capital of [SUBJECT] is [CLAIM]. The capital of [OTHER] is [OTHER_ANSWER]. "
     "Q: What is the capital of [SUBJECT]? A:"});

inline constexpr auto country_templates =
    std::to_array<std::string_view>({"[SUBJECT] is in [CLAIM]. Q: Which country is [SUBJECT] in? A:"});

inline constexpr auto country_other_templates = std::to_array<std::string_view>(
    {"[SUBJECT] is in [CLAIM]. [SUBJECT] is in",
     "It is said that [SUBJECT] is in [CLAIM]. Q: Which country is [SUBJECT] in? A:",
     "[OTHER] is in [OTHER_ANSWER]. [SUBJECT] is in [CLAIM]. Q: Which country is [SUBJECT] in? A:",
     "[SUBJECT] is in [CLAIM]. [OTHER] is in [OTHER_ANSWER]. Q: Which country is [SUBJECT] in? A:"});

/// The same questions without a context: only the memorised answer speaks, and the wrong one is any other.
inline constexpr auto capital_recall_templates = std::to_array<std::string_view>({"The capital of [SUBJECT] is"});

inline constexpr auto capital_recall_other_templates =
    std::to_array<std::string_view>({"Q: What is the capital of [SUBJECT]? A:"});

inline constexpr auto country_recall_templates = std::to_array<std::string_view>({"[SUBJECT] is in"});

inline constexpr auto country_recall_other_templates =
    std::to_array<std::string_view>({"Q: Which country is [SUBJECT] in? A:"});

}  // namespace trimtab::task::words
