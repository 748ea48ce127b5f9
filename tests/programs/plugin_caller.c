// A program that is linked with a plugin and runs it.
int plugin_run(void);

int main(void) { return plugin_run(); }
