import java.util.*;
import java.util.stream.*;

public class Hello {
    public static void main(String[] args) throws Exception {
        Thread[] threads = new Thread[4];
        long[] sums = new long[4];
        for (int i = 0; i < 4; i++) {
            int n = i;
            threads[i] = new Thread(() -> sums[n] = IntStream.range(0, n * 100000).asLongStream().sum());
            threads[i].start();
        }
        for (Thread thread : threads) thread.join();
        System.out.println(Arrays.toString(sums));
        Process child = new ProcessBuilder("sh", "-c", "sort -n numbers.txt | head -1; exit 5").start();
        System.out.print(new String(child.getInputStream().readAllBytes()) + child.waitFor() + "\n");
        System.exit(3);
    }
}
