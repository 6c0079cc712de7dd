//! Functions that Terraform users know and that do not exist here, each with the reason and what to use in its place.

/// Explains why a function is not here. `None`: no such function is known at all.
#[must_use]
pub fn withheld(name: &str) -> Option<&'static str> {
    Some(match name {
        "uuid" => "a plan must come out the same every time, and `uuid` would not: use `uuidv5`, which makes a UUID from a name",
        "bcrypt" => {
            "a plan must come out the same every time, and `bcrypt` salts at random: hash in the step that stores the password"
        }
        "rsadecrypt" => {
            "private keys do not belong into a plan: decrypt in the step that needs the text, or take it from a sensitive variable"
        }
        "abspath" => {
            "a plan must not depend on the folder it is made in: write the path relative to the configuration, or take it from a setting"
        }
        "pathexpand" => "a plan must not depend on who makes it, and `~` does: write the path in full, or take it from a setting",
        "env" | "getenv" | "get_env" => {
            "a plan must not depend on the environment of whoever makes it: declare a variable and set it there"
        }
        "cidrhost" | "cidrnetmask" | "cidrsubnet" | "cidrsubnets" => {
            "address arithmetic is left to what creates networks: take the addresses from a variable or a setting"
        }
        "ephemeralasnull" => "there are no ephemeral values: mark what no output may show with `sensitive`",
        "templatedir" | "template_dir" => {
            "there is no function for a folder of templates: use `fileset` with a `for` expression and `templatefile`"
        }
        "list" => "a list is written `[a, b]`; `tolist` converts its items to one kind",
        "map" => "an object is written `{ name = value }`; `tomap` converts its attributes to one kind",
        "strlen" => "use `length`, which counts the characters of a text, too",
        "semver" | "versioncompare" => {
            "versions of products are compared by the product's own scheme, never as plain texts: see the functions of the family version"
        }
        "exec" | "external" | "shell" => "expressions start no programs: use a fact or a step, which is recorded",
        "http" => "expressions reach no network: use a fact, which is observed and recorded",
        "random" | "random_id" | "random_string" => {
            "a plan must come out the same every time: make the random value outside and pass it as a sensitive variable"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::withheld;
    use crate::lang::function::find;

    #[test]
    fn what_is_withheld_does_not_exist_and_is_explained() {
        for name in ["uuid", "bcrypt", "rsadecrypt", "abspath", "pathexpand", "cidrhost", "list", "map", "strlen", "env", "semver"]
        {
            assert!(find(name).is_none(), "{name}");
            assert!(withheld(name).is_some_and(|why| why.len() > 40), "{name}");
        }
        assert_eq!(withheld("timestamp"), None);
        assert_eq!(withheld("no-such-function"), None);
    }
}
