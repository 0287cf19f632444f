import { Section, Snippet, useWho } from '~/parts'
import classes from './home.module.css'

const CODE = `import cloud

jid = cloud.call(lambda x: x ** 3, 3)   # runs over there
print(cloud.result(jid))                # 27

jids = cloud.map(lambda x: x ** 2, range(100))
print(sum(cloud.result(jids)))`

/** What somebody does first who has never run a job. */
export function First() {
  const { user } = useWho()
  return (
    <Section title="First steps">
      <ol className={`pc-card ${classes.steps}`}>
        <li>
          <div>
            <p>
              Connect your machine: this asks for {user ? 'your password and makes a key' : 'an API key'}, which it stores. On the machine of the server itself that is done already.
            </p>
            <Snippet code={`picloud setup ${location.origin}${user && ` -e ${user}`}`} />
          </div>
        </li>
        <li>
          <div>
            <p>Run a function over there, then a hundred. Nothing need be deployed: your code travels along.</p>
            <Snippet code={CODE} />
          </div>
        </li>
        <li>
          <div>
            <p>Or any program, in any language.</p>
            <Snippet code="picloud exec uname -a" />
          </div>
        </li>
      </ol>
    </Section>
  )
}
